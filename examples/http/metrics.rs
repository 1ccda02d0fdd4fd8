//! The figures of `/metrics`: one name and one number a line.

use windlass::Loop;

use super::server::Shared;

/// All figures, as of now.
pub(crate) fn text(shared: &Shared) -> String {
    let event_loop = Loop::current();
    let turned = event_loop.metrics();
    let pool = event_loop.pool().metrics();
    let workers = shared.workers.metrics();
    let lines = [
        ("server_uptime_seconds", seconds(shared.started.elapsed())),
        ("server_connections", shared.connection_count().to_string()),
        ("server_connections_max", shared.config.connections_max.to_string()),
        ("server_requests", shared.requests.get().to_string()),
        ("loop_iterations", turned.iterations.to_string()),
        ("loop_events", turned.events.to_string()),
        ("loop_idle_seconds", seconds(turned.idle_time)),
        ("loop_active_seconds", seconds(turned.active_time)),
        ("loop_utilization", format!("{:.4}", turned.utilization())),
        ("pool_threads", pool.threads.to_string()),
        ("pool_busy", pool.busy.to_string()),
        ("pool_queued", pool.queued.to_string()),
        ("pool_completed", pool.completed.to_string()),
        ("workers_size", workers.size.to_string()),
        ("workers_busy", workers.busy.to_string()),
        ("workers_queued", workers.queued.to_string()),
        ("workers_completed", workers.completed.to_string()),
    ];
    lines.map(|(name, value)| format!("{name} {value}\n")).concat()
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}
