//! What the system can be asked for by calls that no safe crate has: [`give_back`] freed memory, and [`ask_for_short_slices`] of
//! the processor. Elsewhere than on the systems that have such a call, it does nothing.

mod heap;
mod slices;

pub use heap::give_back;
pub use slices::ask_for_short_slices;
