//! The server's files about the store in which threads meet.

#[path = "../../sori-server/src/store/committing.rs"]
#[expect(dead_code, reason = "the model starts the thread by itself")]
pub(crate) mod committing;
#[path = "../../sori-server/src/store/desk.rs"]
#[expect(dead_code, reason = "loud clients, and what its own tests want")]
pub(crate) mod desk;

pub(crate) mod gauges {
    //! The model shows its figures to nobody.

    use sori_store::Figures;

    #[derive(Default)]
    pub(crate) struct Gauges;

    impl Gauges {
        pub(crate) fn set(&self, _: Figures) {}

        pub(crate) fn set_failed(&self) {}
    }

    pub(crate) fn sizes(_: &Figures) -> &'static str {
        ""
    }
}
