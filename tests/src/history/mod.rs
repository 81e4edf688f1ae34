//! The history checker: what clients did and saw while servers were killed, and whether the promise of messaging was
//! kept. `record` is what was seen, `check` judges it, `seed` spoils it to prove the judge, the rest makes it happen.

pub mod check;
pub mod cluster;
pub mod device;
pub mod dice;
pub mod line;
pub mod record;
pub mod round;
pub mod seed;
