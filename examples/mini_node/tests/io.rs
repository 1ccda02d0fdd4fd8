//! Files, sockets, HTTP, streams, keys: programs that print here what they print on Node.
//!
//! Beside each program of `tests/io` is what Node 20 printed. With `NODE=node` in the environment a
//! program is run there as well, and has to print the same: so the files are known to be true.

mod common;

common::programs! {
    in "io";
    bytes_become_text_and_back_as_on_node: "buffer",
    keys_and_digests_are_those_of_node: "crypto",
    names_are_looked_up_on_the_pool: "dns",
    each_file_operation_calls_back_with_nodes_result_or_error: "fs_callbacks",
    each_file_operation_has_a_promise_with_nodes_result_or_error: "fs_promises",
    a_file_is_looked_at_again_and_again: "fs_watch_file",
    file_streams_emit_their_events_in_nodes_order: "fs_streams",
    sync_file_operations_return_or_throw_as_on_node: "fs_sync",
    http_connections_that_end_early_are_told_of_as_on_node: "http_ends",
    http_requests_are_answered_and_connections_kept_as_on_node: "http_pages",
    http_on_the_wire_is_that_of_node: "http_raw",
    completions_come_among_ticks_immediates_and_timers_as_on_node: "io_order",
    a_connection_is_seen_by_both_sides_as_on_node: "net_echo",
    socket_errors_are_those_of_node: "net_errors",
    stream_events_come_in_nodes_order: "stream_basics",
    stream_errors_are_told_as_on_node: "stream_errors",
    urls_and_paths_are_understood_as_on_node: "url_and_path",
}
