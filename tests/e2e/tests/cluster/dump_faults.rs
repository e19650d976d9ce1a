//! What breaks while a heap dump is on its way, each at random moments: [`jattach_e2e::faults`] says what has to be true.
//! `JATTACH_E2E_SEED=N` repeats them; `cargo xtask soak` tries many more.

use jattach_e2e::faults::{FAULTS, try_seeds};

/// A test for each fault, so that they run side by side.
macro_rules! faults {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { try_seeds($name); })*

        #[test]
        fn every_fault_has_a_test() {
            assert_eq!(FAULTS.iter().map(|fault| fault.name).collect::<Vec<_>>(), [$($name),*]);
        }
    };
}

faults! {
    connections_that_are_cut_are_gone_on_with: "cut",
    a_connection_that_is_cut_for_good_is_gone_on_with_by_the_same_command_later: "cut-for-good",
    a_client_that_is_killed_goes_on_when_it_is_started_again: "client-killed",
    a_client_that_is_killed_does_not_keep_the_jvm_where_nothing_may_wait_in_the_pod: "client-killed-without-spool",
    a_client_that_is_stopped_and_taken_for_dead_goes_on_when_it_is_continued: "client-stopped",
    a_client_that_is_stopped_does_not_keep_the_jvm_where_nothing_may_wait_in_the_pod: "client-stopped-without-spool",
    a_slow_client_does_not_keep_the_jvm_where_nothing_may_wait_in_the_pod: "slow-without-spool",
    a_slow_client_gets_all_of_it_while_the_jvm_has_gone_on: "slow",
    a_connection_that_stands_still_is_left_for_another: "stalled",
    a_stream_without_its_status_is_no_dump_and_is_completed_later: "status-dropped",
    a_session_that_is_killed_is_followed_by_another: "session-killed",
    an_injector_that_is_killed_is_replaced_and_swept_after: "hold-killed",
    a_jvm_that_is_killed_while_it_dumps_has_ended: "jvm-killed",
    a_jvm_that_is_killed_when_it_has_dumped_is_dumped: "jvm-killed-after",
    a_container_that_ends_before_its_dump_is_fetched_has_ended: "container-ended",
    a_pod_that_is_deleted_has_ended: "pod-deleted",
    a_disk_that_is_full_here_is_told_of: "disk-full",
    a_spool_that_is_full_makes_the_jvm_wait_as_long_as_it_may: "spool-full",
    a_second_dump_is_told_of_the_first_or_waits: "two-dumps",
    another_command_is_told_of_the_dump_or_waits: "other-command",
    a_slow_reader_of_stdout_gets_all_of_it_while_the_jvm_has_gone_on: "slow-reader",
    a_jvm_that_takes_its_time_is_waited_for: "late-first-byte",
    memory_that_is_full_costs_the_injector_and_not_the_application: "memory-full",
}
