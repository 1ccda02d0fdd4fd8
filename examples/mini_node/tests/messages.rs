//! Ports, broadcasts, structured clones and workers: programs that print here what they print on
//! Node.
//!
//! Beside each program of `tests/messages` is what Node 20 printed. With `NODE=node` in the
//! environment a program is run there as well, and has to print the same.

mod common;

common::programs! {
    in "messages";
    threads_wait_at_shared_numbers_until_they_are_woken: "atomics",
    a_broadcast_reaches_all_others_of_its_name_in_order: "broadcast",
    clones_are_equal_and_apart_whatever_the_value: "clone_values",
    events_of_messages_and_their_classes_are_nodes: "events_of_messages",
    listeners_of_a_port_are_called_in_nodes_order_and_way: "ports_listeners",
    a_port_keeps_the_program_alive_as_on_node: "ports_liveness",
    messages_come_before_immediates_and_closes_after_them: "ports_order",
    what_cannot_be_sent_is_refused_in_nodes_words: "ports_refusals",
    what_is_transferred_is_gone_here_and_whole_there: "ports_transfer",
    any_thread_is_reached_by_its_number: "threads",
    a_worker_ends_with_its_code_and_its_error: "worker_codes",
    behind_an_error_in_a_microtask_the_drain_goes_on: "worker_drain",
    the_files_of_a_worker_are_closed_with_it: "worker_descriptors",
    an_error_in_a_microtask_is_told_before_the_drain_ends: "worker_error_at_once",
    a_parent_hears_of_each_end_of_a_worker_as_on_node: "worker_ends",
    a_parent_hears_of_its_worker_in_nodes_order: "worker_events",
    workers_of_workers_talk_past_their_parents: "worker_nested",
    what_belongs_to_the_process_is_the_main_threads_to_change: "worker_process",
    a_worker_begins_with_what_nodes_has_and_may_do_as_much: "worker_settings",
    the_streams_of_a_worker_arrive_at_its_parent: "worker_streams",
    a_script_that_comes_as_text_is_no_module: "worker_text",
    a_parent_gets_what_its_worker_has_thrown_or_a_text_of_it: "worker_payloads",
    nothing_that_a_worker_has_queued_runs_behind_an_error: "worker_throws",
    buffers_and_ports_travel_between_workers: "worker_transfer",
}
