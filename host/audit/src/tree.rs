//! The Merkle tree of RFC 6962, section 2.1, over SHA-256.
//!
//! Invariant: a leaf is hashed with the prefix `0x00` and a node with `0x01`, so no leaf can pass for a node. A
//! [`Frontier`] of `n` leaves holds exactly one hash for each bit that is set in `n`, the largest subtree first.
//! Nothing here reads a clock, a file or a database.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::TreeError;

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// The largest log. The store's integers are signed, so a size over this one cannot be real; refusing it when a
/// frontier is restored also keeps every addition below from overflowing.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// The version byte that a serialised frontier opens with.
const FRONTIER_VERSION: u8 = 1;

/// A SHA-256 value: of a leaf, of a node, or of a whole tree. Shown in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl Hash {
    /// The hash in `bytes`, or nothing where they are not exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// Standard Base 64 with padding, as checkpoints write it.
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The hash of a leaf: SHA-256 of `0x00` and the entry's bytes.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// The hash of a node: SHA-256 of `0x01` and the hashes of its two children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of a tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// The right edge of the tree: all that is needed to append and to compute the root, in `O(log n)` memory.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of the perfect subtrees that make up the tree, from the left (largest) to the right.
    roots: Vec<Hash>,
}

impl Frontier {
    /// The frontier of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier after these leaf hashes, in the order of their indexes from 0.
    pub fn replay(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut frontier = Self::new();
        for leaf in leaves {
            frontier.append(leaf);
        }
        frontier
    }

    /// Append one leaf by its hash, and answer with its index.
    pub fn append(&mut self, leaf: Hash) -> u64 {
        let index = self.size;
        let mut node = leaf;
        // Each trailing one of the old size is a perfect subtree that the new leaf completes into one twice as large.
        for _ in 0..index.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.roots.push(node);
        self.size = index.saturating_add(1);
        index
    }

    /// How many leaves were appended.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree as it is now.
    pub fn root(&self) -> Hash {
        self.roots.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// Version, size (eight bytes, big end first), then the roots from left to right.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + self.roots.len() * HASH_BYTES);
        bytes.push(FRONTIER_VERSION);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for root in &self.roots {
            bytes.extend_from_slice(&root.0);
        }
        bytes
    }

    /// What [`Frontier::to_bytes`] wrote. Only the form is checked: whoever restores a frontier compares its root
    /// with a checkpoint or with a replay of the leaves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TreeError> {
        let (&version, rest) = bytes.split_first().ok_or(TreeError::Frontier)?;
        let (size, rest) = rest.split_first_chunk::<8>().ok_or(TreeError::Frontier)?;
        let size = u64::from_be_bytes(*size);
        let (roots, left_over) = rest.as_chunks::<HASH_BYTES>();
        let fits = version == FRONTIER_VERSION
            && size <= MAX_SIZE
            && left_over.is_empty()
            && roots.len() as u64 == u64::from(size.count_ones());
        if !fits {
            return Err(TreeError::Frontier);
        }
        Ok(Self { size, roots: roots.iter().map(|root| Hash(*root)).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{REFERENCE_ROOTS, leaves, reference_leaves};
    use proptest::prelude::*;

    #[test]
    fn roots_are_those_of_the_reference_tree() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root(), empty_root());
        assert_eq!(empty_root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in reference_leaves().iter().zip(REFERENCE_ROOTS) {
            frontier.append(*leaf);
            assert_eq!(frontier.root().to_string(), root);
        }
        assert_eq!(frontier.size(), 8);
    }

    #[test]
    fn roots_agree_with_another_implementation() {
        let mut oracle = ct_merkle::mem_backed_tree::MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut frontier = Frontier::new();
        for index in 0_u64..300 {
            let entry = index.to_be_bytes().to_vec();
            assert_eq!(frontier.append(leaf_hash(&entry)), index);
            oracle.push(entry);
            assert_eq!(frontier.root().0.as_slice(), oracle.root().as_bytes().as_slice());
        }
    }

    #[test]
    fn a_damaged_frontier_is_refused() {
        let whole = Frontier::replay(leaves(11)).to_bytes();
        for length in 0..whole.len() {
            assert!(Frontier::from_bytes(&whole[..length]).is_err(), "{length} bytes");
        }
        let mut longer = whole.clone();
        longer.extend_from_slice(&[0; HASH_BYTES]);
        assert!(Frontier::from_bytes(&longer).is_err());
        let mut other_version = whole;
        other_version[0] = 2;
        assert!(Frontier::from_bytes(&other_version).is_err());
        let mut negative = vec![FRONTIER_VERSION];
        negative.extend_from_slice(&(1_u64 << 63).to_be_bytes());
        negative.extend_from_slice(&[0; HASH_BYTES]);
        assert!(Frontier::from_bytes(&negative).is_err());
    }

    proptest! {
        #[test]
        fn a_restored_frontier_goes_on_as_the_original(size in 0_usize..600, more in 0_usize..40) {
            let all = leaves(size + more);
            let mut restored =
                Frontier::from_bytes(&Frontier::replay(all[..size].iter().copied()).to_bytes()).unwrap();
            for leaf in &all[size..] {
                restored.append(*leaf);
            }
            prop_assert_eq!(restored, Frontier::replay(all));
        }
    }
}
