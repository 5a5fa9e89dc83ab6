//! Many pictures: which ones, what is left to do of them, one after the other in bounded memory, and the table of what came out.

pub mod order;
pub mod parquet;
pub mod pictures;
pub mod scores;
pub mod shown;
pub mod table;
pub mod work;
