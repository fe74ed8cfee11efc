//! Shows that the crates of levels 0 and 1 need no `std`: a program has exactly one panic handler, so as soon as one of these
//! crates, or anything that it depends on, pulls `std` in, this crate stops compiling (duplicate `panic_impl`).

#![no_std]

extern crate sori_broker;
extern crate sori_mqtt;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
