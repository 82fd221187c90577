//! What the tests of several modules share. Compiled for tests only.

use data_encoding::HEXLOWER;

use crate::tree::{Hash, leaf_hash};

/// The hashes of `count` distinct leaves; leaf `i` is `i` in eight bytes, big end first.
pub fn leaves(count: usize) -> Vec<Hash> {
    (0..count as u64).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

/// The eight leaves of the test tree that the Certificate Transparency projects share.
pub fn reference_leaves() -> Vec<Hash> {
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
        .iter()
        .map(|hex| leaf_hash(&HEXLOWER.decode(hex.as_bytes()).unwrap()))
        .collect()
}

/// The roots of that tree with one to eight leaves.
pub const REFERENCE_ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
