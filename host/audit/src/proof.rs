//! Inclusion and consistency proofs: RFC 6962 (sections 2.1.1 and 2.1.2) made, RFC 9162 (sections 2.1.3.2 and
//! 2.1.4.2) verified.
//!
//! Invariant: a verifier consumes every hash of a path and accepts no path that is longer or shorter than the sizes
//! call for, so for given sizes and roots there is exactly one acceptable proof.

use std::ops::Range;

use crate::TreeError;
use crate::tree::{Frontier, HASH_BYTES, Hash, MAX_SIZE, empty_root, node_hash};

/// The most hashes that a path can hold: one for each level of the largest tree, and one more for the seed of a
/// consistency proof. Keeps the parsers from taking absurd input; it says nothing about a path being right.
const MAX_PATH: usize = 65;

/// Where the leaf hashes of a log come from: a slice, or a table.
pub trait Leaves {
    /// What goes wrong when a leaf is read.
    type Error;

    /// How many leaves there are.
    fn size(&self) -> u64;

    /// The hash of leaf `index`, which is below [`Leaves::size`].
    fn leaf(&self, index: u64) -> Result<Hash, Self::Error>;

    /// The root of the tree over the leaves in `range`. Reads each of them; a source that keeps inner nodes can do
    /// better.
    fn subtree(&self, range: Range<u64>) -> Result<Hash, Self::Error> {
        let mut frontier = Frontier::new();
        for index in range {
            frontier.append(self.leaf(index)?);
        }
        Ok(frontier.root())
    }
}

impl Leaves for [Hash] {
    type Error = TreeError;

    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn leaf(&self, index: u64) -> Result<Hash, TreeError> {
        let found = usize::try_from(index).ok().and_then(|index| self.get(index));
        found.copied().ok_or(TreeError::OutOfRange)
    }
}

/// Proof that a leaf is in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's index.
    pub index: u64,
    /// The size of the tree.
    pub size: u64,
    /// The sibling hashes from the leaf up to the root.
    pub path: Vec<Hash>,
}

/// Proof that a tree begins with all leaves of a smaller one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The size of the smaller tree.
    pub old_size: u64,
    /// The size of the larger tree.
    pub new_size: u64,
    /// The hashes in the order of RFC 6962, `PROOF(old_size, D[new_size])`.
    pub path: Vec<Hash>,
}

/// How many leaves the left subtree of a tree of `size` leaves has: the largest power of two below `size`.
fn left_size(size: u64) -> u64 {
    match size {
        0 | 1 => 0,
        _ => 1 << (u64::BITS - 1 - (size - 1).leading_zeros()),
    }
}

impl InclusionProof {
    /// Prove that leaf `index` is in the tree of the first `size` leaves. Fails with [`TreeError::OutOfRange`] where
    /// there is no such leaf or no such tree, or with what the source fails with.
    pub fn prove<L>(leaves: &L, index: u64, size: u64) -> Result<Self, L::Error>
    where
        L: Leaves + ?Sized,
        L::Error: From<TreeError>,
    {
        if index >= size || size > leaves.size() || size > MAX_SIZE {
            return Err(TreeError::OutOfRange.into());
        }
        let (mut start, mut end) = (0, size);
        let mut path = Vec::new();
        while end - start > 1 {
            let middle = start + left_size(end - start);
            if index < middle {
                path.push(leaves.subtree(middle..end)?);
                end = middle;
            } else {
                path.push(leaves.subtree(start..middle)?);
                start = middle;
            }
        }
        path.reverse();
        Ok(Self { index, size, path })
    }

    /// Check the proof for a leaf with this hash and a tree with this root.
    pub fn verify(&self, leaf: &Hash, root: &Hash) -> Result<(), TreeError> {
        if self.index >= self.size || self.size > MAX_SIZE {
            return Err(TreeError::Proof);
        }
        let (mut node_index, mut last) = (self.index, self.size - 1);
        let mut node = *leaf;
        for sibling in &self.path {
            if last == 0 {
                return Err(TreeError::Proof);
            }
            if node_index & 1 == 1 || node_index == last {
                node = node_hash(sibling, &node);
                // A node at the right edge without a sibling moves up unchanged.
                while node_index & 1 == 0 && node_index != 0 {
                    node_index >>= 1;
                    last >>= 1;
                }
            } else {
                node = node_hash(&node, sibling);
            }
            node_index >>= 1;
            last >>= 1;
        }
        if last == 0 && node == *root { Ok(()) } else { Err(TreeError::Proof) }
    }

    /// Index, size (eight bytes each, big end first), then the path.
    pub fn to_bytes(&self) -> Vec<u8> {
        write(self.index, self.size, &self.path)
    }

    /// What [`InclusionProof::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TreeError> {
        let (index, size, path) = read(bytes)?;
        if index >= size {
            return Err(TreeError::Proof);
        }
        Ok(Self { index, size, path })
    }
}

impl ConsistencyProof {
    /// Prove that the tree of the first `new_size` leaves begins with that of the first `old_size`. The path is empty
    /// where the old tree is empty or the sizes are equal. Fails as [`InclusionProof::prove`] does.
    pub fn prove<L>(leaves: &L, old_size: u64, new_size: u64) -> Result<Self, L::Error>
    where
        L: Leaves + ?Sized,
        L::Error: From<TreeError>,
    {
        if old_size > new_size || new_size > leaves.size() || new_size > MAX_SIZE {
            return Err(TreeError::OutOfRange.into());
        }
        let mut path = Vec::new();
        if old_size > 0 {
            let (mut start, mut end) = (0, new_size);
            // Down to the subtree that ends where the old tree ends.
            while end > old_size {
                let middle = start + left_size(end - start);
                if old_size <= middle {
                    path.push(leaves.subtree(middle..end)?);
                    end = middle;
                } else {
                    path.push(leaves.subtree(start..middle)?);
                    start = middle;
                }
            }
            // Where that subtree is the whole old tree, the verifier has its hash: it is the old root.
            if start > 0 {
                path.push(leaves.subtree(start..end)?);
            }
            path.reverse();
        }
        Ok(Self { old_size, new_size, path })
    }

    /// Check the proof for the roots of the two trees.
    pub fn verify(&self, old_root: &Hash, new_root: &Hash) -> Result<(), TreeError> {
        if self.old_size > self.new_size || self.new_size > MAX_SIZE {
            return Err(TreeError::Proof);
        }
        let holds = if self.old_size == self.new_size {
            // Two empty trees have one root, too.
            self.path.is_empty() && old_root == new_root && (self.old_size > 0 || *old_root == empty_root())
        } else if self.old_size == 0 {
            // Every tree begins with the empty one.
            self.path.is_empty() && *old_root == empty_root()
        } else {
            self.roots(old_root).is_some_and(|(old, new)| old == *old_root && new == *new_root)
        };
        if holds { Ok(()) } else { Err(TreeError::Proof) }
    }

    /// The two roots that the path leads to, for `0 < old_size < new_size`; nothing where its length is wrong.
    fn roots(&self, old_root: &Hash) -> Option<(Hash, Hash)> {
        let mut path = self.path.iter();
        let (mut node_index, mut last) = (self.old_size - 1, self.new_size - 1);
        while node_index & 1 == 1 {
            node_index >>= 1;
            last >>= 1;
        }
        // A perfect old tree is a node of the new one, and its hash, the old root, is left out of the path.
        let seed = if self.old_size.is_power_of_two() { old_root } else { path.next()? };
        let (mut old, mut new) = (*seed, *seed);
        for sibling in path {
            if last == 0 {
                return None;
            }
            if node_index & 1 == 1 || node_index == last {
                old = node_hash(sibling, &old);
                new = node_hash(sibling, &new);
                while node_index & 1 == 0 && node_index != 0 {
                    node_index >>= 1;
                    last >>= 1;
                }
            } else {
                new = node_hash(&new, sibling);
            }
            node_index >>= 1;
            last >>= 1;
        }
        (last == 0).then_some((old, new))
    }

    /// Old size, new size (eight bytes each, big end first), then the path.
    pub fn to_bytes(&self) -> Vec<u8> {
        write(self.old_size, self.new_size, &self.path)
    }

    /// What [`ConsistencyProof::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TreeError> {
        let (old_size, new_size, path) = read(bytes)?;
        if old_size > new_size {
            return Err(TreeError::Proof);
        }
        Ok(Self { old_size, new_size, path })
    }
}

fn write(first: u64, second: u64, path: &[Hash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + path.len() * HASH_BYTES);
    bytes.extend_from_slice(&first.to_be_bytes());
    bytes.extend_from_slice(&second.to_be_bytes());
    for hash in path {
        bytes.extend_from_slice(&hash.0);
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<(u64, u64, Vec<Hash>), TreeError> {
    let (first, rest) = bytes.split_first_chunk::<8>().ok_or(TreeError::Proof)?;
    let (second, rest) = rest.split_first_chunk::<8>().ok_or(TreeError::Proof)?;
    let (path, left_over) = rest.as_chunks::<HASH_BYTES>();
    let second = u64::from_be_bytes(*second);
    if !left_over.is_empty() || path.len() > MAX_PATH || second > MAX_SIZE {
        return Err(TreeError::Proof);
    }
    Ok((u64::from_be_bytes(*first), second, path.iter().map(|hash| Hash(*hash)).collect()))
}

#[cfg(test)]
mod tests;
