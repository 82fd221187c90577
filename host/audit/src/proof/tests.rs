//! Proofs against the reference vectors, another implementation, every pair of small sizes, and single-bit flips.

use std::cell::RefCell;
use std::collections::HashMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

use super::*;
use crate::testing::{leaves, reference_leaves};
use crate::tree::leaf_hash;

/// Every size up to this one is tried with every index and every smaller size.
const ALL_UP_TO: u64 = 64;

fn hex(path: &[Hash]) -> Vec<String> {
    path.iter().map(Hash::to_string).collect()
}

fn root_of(leaves: &[Hash], size: u64) -> Hash {
    leaves.subtree(0..size).unwrap()
}

/// All copies of `bytes` with one bit flipped.
fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut copy = bytes.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        copy
    })
}

#[test]
fn inclusion_vectors() {
    let leaves = reference_leaves();
    let path = |index, size| hex(&InclusionProof::prove(leaves.as_slice(), index, size).unwrap().path);
    assert_eq!(path(0, 1), Vec::<String>::new());
    assert_eq!(
        path(0, 8),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        path(5, 8),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(path(2, 3), ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]);
    assert_eq!(
        path(1, 5),
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ]
    );
}

#[test]
fn consistency_vectors() {
    let leaves = reference_leaves();
    let path = |old, new| hex(&ConsistencyProof::prove(leaves.as_slice(), old, new).unwrap().path);
    assert_eq!(path(1, 1), Vec::<String>::new());
    assert_eq!(
        path(1, 8),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        path(6, 8),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        path(2, 5),
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ]
    );
}

#[test]
fn every_small_proof_verifies_and_agrees_with_another_implementation() {
    let leaves = leaves(ALL_UP_TO as usize);
    let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 1..=ALL_UP_TO {
        oracle.push((size - 1).to_be_bytes().to_vec());
        let root = root_of(&leaves, size);
        for index in 0..size {
            let proof = InclusionProof::prove(leaves.as_slice(), index, size).unwrap();
            proof.verify(&leaves[index as usize], &root).unwrap();
            let theirs = oracle.prove_inclusion(index as usize);
            assert_eq!(proof.to_bytes()[16..], *theirs.as_bytes(), "{index} in {size}");
        }
        for old in 1..=size {
            let proof = ConsistencyProof::prove(leaves.as_slice(), old, size).unwrap();
            proof.verify(&root_of(&leaves, old), &root).unwrap();
            let theirs = oracle.prove_consistency((size - old) as usize);
            assert_eq!(proof.to_bytes()[16..], *theirs.as_bytes(), "{old} to {size}");
        }
    }
}

/// A source that keeps inner nodes, as a store may.
struct Kept {
    leaves: Vec<Hash>,
    nodes: RefCell<HashMap<Range<u64>, Hash>>,
}

impl Leaves for Kept {
    type Error = TreeError;

    fn size(&self) -> u64 {
        self.leaves.as_slice().size()
    }

    fn leaf(&self, index: u64) -> Result<Hash, TreeError> {
        self.leaves.as_slice().leaf(index)
    }

    fn subtree(&self, range: Range<u64>) -> Result<Hash, TreeError> {
        if let Some(node) = self.nodes.borrow().get(&range) {
            return Ok(*node);
        }
        let node = self.leaves.as_slice().subtree(range.clone())?;
        self.nodes.borrow_mut().insert(range, node);
        Ok(node)
    }
}

#[test]
fn every_proof_up_to_300_verifies() {
    let leaves = Kept { leaves: leaves(300), nodes: RefCell::default() };
    let roots: Vec<Hash> = (0..=300).map(|size| leaves.subtree(0..size).unwrap()).collect();
    for new in 1..=300 {
        let root = &roots[new as usize];
        for old in 0..=new {
            let proof = ConsistencyProof::prove(&leaves, old, new).unwrap();
            proof.verify(&roots[old as usize], root).unwrap();
        }
        for index in 0..new {
            let proof = InclusionProof::prove(&leaves, index, new).unwrap();
            proof.verify(&leaves.leaves[index as usize], root).unwrap();
        }
    }
}

#[test]
fn the_empty_tree() {
    let leaves = leaves(5);
    let proof = ConsistencyProof::prove(leaves.as_slice(), 0, 5).unwrap();
    assert!(proof.path.is_empty());
    proof.verify(&empty_root(), &root_of(&leaves, 5)).unwrap();
    assert!(proof.verify(&leaves[0], &root_of(&leaves, 5)).is_err());
    let same = ConsistencyProof { old_size: 0, new_size: 0, path: vec![] };
    same.verify(&empty_root(), &empty_root()).unwrap();
    assert!(same.verify(&leaves[0], &leaves[0]).is_err());
}

#[test]
fn a_path_has_the_length_that_the_sizes_call_for() {
    let leaves = leaves(4);
    let root = root_of(&leaves, 2);
    let path = vec![leaves[1]];
    InclusionProof { index: 0, size: 2, path: path.clone() }.verify(&leaves[0], &root).unwrap();
    assert!(InclusionProof { index: 0, size: 4, path: path.clone() }.verify(&leaves[0], &root).is_err());
    ConsistencyProof { old_size: 1, new_size: 2, path: path.clone() }.verify(&leaves[0], &root).unwrap();
    assert!(ConsistencyProof { old_size: 1, new_size: 4, path: path.clone() }.verify(&leaves[0], &root).is_err());
    assert!(ConsistencyProof { old_size: 0, new_size: 2, path: path.clone() }.verify(&empty_root(), &root).is_err());
    assert!(ConsistencyProof { old_size: 2, new_size: 2, path }.verify(&root, &root).is_err());
}

#[test]
fn what_is_not_there_cannot_be_proved() {
    let leaves = leaves(5);
    let leaves = leaves.as_slice();
    assert_eq!(InclusionProof::prove(leaves, 5, 5), Err(TreeError::OutOfRange));
    assert_eq!(InclusionProof::prove(leaves, 0, 6), Err(TreeError::OutOfRange));
    assert_eq!(ConsistencyProof::prove(leaves, 3, 2), Err(TreeError::OutOfRange));
    assert_eq!(ConsistencyProof::prove(leaves, 3, 6), Err(TreeError::OutOfRange));
}

#[test]
fn a_node_does_not_pass_for_a_leaf() {
    let leaves = leaves(4);
    let root = root_of(&leaves, 4);
    let node = node_hash(&leaves[0], &leaves[1]);
    let proof = InclusionProof { index: 0, size: 2, path: vec![node_hash(&leaves[2], &leaves[3])] };
    // As a tree of two "leaves" the shape fits; what stops it is that no entry hashes to a node.
    proof.verify(&node, &root).unwrap();
    let content = [leaves[0].0, leaves[1].0].concat();
    assert_ne!(leaf_hash(&content), node);
    assert!(proof.verify(&leaf_hash(&content), &root).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn inclusion_holds_and_no_flipped_bit_does(size in 1_u64..=300, at in any::<prop::sample::Index>()) {
        let leaves = leaves(size as usize);
        let index = at.index(size as usize) as u64;
        let root = root_of(&leaves, size);
        let leaf = leaves[index as usize];
        let proof = InclusionProof::prove(leaves.as_slice(), index, size).unwrap();
        prop_assert_eq!(proof.verify(&leaf, &root), Ok(()));
        for flipped in flips(&proof.to_bytes()) {
            if let Ok(other) = InclusionProof::from_bytes(&flipped) {
                // A path does not bind the size of the tree (the checkpoint does), so a flip there may fit; what
                // must not happen is that this leaf passes under another index, or with another path.
                let only_the_size = other.index == proof.index && other.path == proof.path;
                prop_assert!(only_the_size || other.verify(&leaf, &root).is_err(), "{:?}", other);
            }
        }
        for flipped in flips(&leaf.0) {
            prop_assert!(proof.verify(&Hash::from_slice(&flipped).unwrap(), &root).is_err());
        }
        for flipped in flips(&root.0) {
            prop_assert!(proof.verify(&leaf, &Hash::from_slice(&flipped).unwrap()).is_err());
        }
        let mut longer = proof.clone();
        longer.path.push(leaf);
        prop_assert!(longer.verify(&leaf, &root).is_err());
        let mut shorter = proof;
        if shorter.path.pop().is_some() {
            prop_assert!(shorter.verify(&leaf, &root).is_err());
        }
    }

    #[test]
    fn consistency_holds_and_no_flipped_bit_does(new in 1_u64..=300, at in any::<prop::sample::Index>()) {
        let leaves = leaves(new as usize);
        let old = at.index(new as usize) as u64 + 1;
        let (old_root, new_root) = (root_of(&leaves, old), root_of(&leaves, new));
        let proof = ConsistencyProof::prove(leaves.as_slice(), old, new).unwrap();
        prop_assert_eq!(proof.verify(&old_root, &new_root), Ok(()));
        for flipped in flips(&proof.to_bytes()).skip(128) {
            let other = ConsistencyProof::from_bytes(&flipped).unwrap();
            prop_assert!(other.verify(&old_root, &new_root).is_err());
        }
        for flipped in flips(&old_root.0) {
            prop_assert!(proof.verify(&Hash::from_slice(&flipped).unwrap(), &new_root).is_err());
        }
        for flipped in flips(&new_root.0) {
            prop_assert!(proof.verify(&old_root, &Hash::from_slice(&flipped).unwrap()).is_err());
        }
        let mut longer = proof.clone();
        longer.path.push(old_root);
        prop_assert!(longer.verify(&old_root, &new_root).is_err());
        let mut shorter = proof;
        if shorter.path.pop().is_some() {
            prop_assert!(shorter.verify(&old_root, &new_root).is_err());
        }
    }

    #[test]
    fn a_rewritten_past_has_no_consistency_proof(
        new in 2_u64..=120, at in any::<prop::sample::Index>(), changed in any::<prop::sample::Index>(),
    ) {
        let honest = leaves(new as usize);
        let old = at.index(new as usize - 1) as u64 + 1;
        let mut forged = honest.clone();
        forged[changed.index(old as usize)] = leaf_hash(b"forged");
        let proof = ConsistencyProof::prove(forged.as_slice(), old, new).unwrap();
        prop_assert!(proof.verify(&root_of(&honest, old), &root_of(&forged, new)).is_err());
    }

    #[test]
    fn the_parsers_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(proof) = InclusionProof::from_bytes(&bytes) {
            prop_assert_eq!(proof.to_bytes(), bytes.clone());
            prop_assert!(proof.verify(&empty_root(), &empty_root()).is_err());
        }
        if let Ok(proof) = ConsistencyProof::from_bytes(&bytes) {
            prop_assert_eq!(proof.to_bytes(), bytes);
            let _ = proof.verify(&empty_root(), &empty_root());
        }
    }
}
