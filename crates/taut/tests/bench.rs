//! `taut bench` against `taut serve` by every door: everything arrives, and what is asked for is reported. How fast is not asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::process::Command;

use serde_json::Value;

fn bench(arguments: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taut"));
    command.arg("bench").args(arguments.split(' '));
    command.args(["--json", "--rounds", "1", "--pin", "none"]);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The programs of the first measurement, of which each did something and none did anything wrong.
fn programs(report: &Value) -> Vec<Value> {
    let programs = report["measurements"][0]["programs"].as_array().unwrap();
    for program in programs {
        assert!(program["count"].as_u64().unwrap() > 0, "{program}");
        for fault in ["lost", "duplicated", "reordered", "strayed", "changed"] {
            assert_eq!(program[fault], 0, "{program}");
        }
        assert!(
            program["latency_ns"]["p99"].as_u64().unwrap() > 0,
            "{program}"
        );
        assert!(
            program["cpu_us"]["median"].as_f64().unwrap() > 0.0,
            "{program}"
        );
    }
    programs.clone()
}

#[test]
fn fan_out_by_every_door_beside_the_floor() {
    for door in ["ws", "socketio", "tcp", "sse"] {
        let report = bench(&format!(
            "fanout --members 5 --window 16 --seconds 0.2 --door {door}"
        ));
        let programs = programs(&report);
        assert_eq!(programs.len(), 3);
        assert_eq!(programs[0]["door"], door);
        assert!(programs[1]["times_the_first"]["median"].is_number());
    }
}

#[test]
fn echo_and_rooms_by_every_door_that_speaks() {
    for door in ["ws", "socketio", "tcp"] {
        let echo = bench(&format!("echo --members 5 --seconds 0.2 --door {door}"));
        assert_eq!(programs(&echo).len(), 2);
        let rooms = bench(&format!(
            "rooms --members 9 --of 3 --seconds 0.2 --door {door}"
        ));
        assert_eq!(programs(&rooms).len(), 1);
    }
}

#[test]
fn a_fixed_rate_publishes_as_much_as_it_says() {
    let report = bench("fanout --members 4 --rate 200 --seconds 0.5 --no-floor");
    assert_eq!(programs(&report)[0]["count"], 4 * 100);
}

#[test]
fn clients_come_and_go_by_every_door() {
    for door in ["ws", "socketio", "tcp", "sse"] {
        let report = bench(&format!(
            "churn --members 4 --seconds 0.2 --warm-up 0 --door {door}"
        ));
        assert_eq!(programs(&report).len(), 2);
    }
}

#[test]
fn idle_clients_have_a_size_and_the_floor_stands_alone() {
    let report = bench("idle --members 100 --seconds 0.1 --door socketio");
    let programs = &report["measurements"][0]["programs"];
    assert!(programs[0]["conn_bytes"]["median"].is_number());
    let floor = bench("floor --members 3 --window 2 --seconds 0.1");
    assert_eq!(floor["measurements"].as_array().unwrap().len(), 4);
}

#[test]
fn a_page_with_plots_needs_nothing_else() {
    let path = std::env::temp_dir().join(format!("taut-bench-page-{}.html", std::process::id()));
    bench(&format!(
        "fanout --members 2 --window 1 --seconds 0.1 --html {}",
        path.display()
    ));
    let page = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(page.matches("<svg").count(), 2);
    assert!(!page.contains("src=") && !page.contains("<script"));
}

#[test]
fn what_was_kept_is_shown_as_it_was_measured() {
    let dir = std::env::temp_dir().join(format!("taut-bench-kept-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let report = bench("fanout --members 2 --window 16 --seconds 0.1");
    let kept = dir.join("kept.json");
    std::fs::write(&kept, report.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_taut"));
    command.current_dir(&dir);
    let words = "bench report kept.json --svg plots.svg --html page.html";
    let output = command.args(words.split(' ')).output().unwrap();
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    let programs = [
        "taut (ws)",
        "floor, all pending at once",
        "floor, one write each",
    ];
    let svg = std::fs::read_to_string(dir.join("plots.svg")).unwrap();
    let page = std::fs::read_to_string(dir.join("page.html")).unwrap();
    std::fs::remove_dir_all(dir).unwrap();
    for program in programs {
        assert!(table.contains(program), "{table}");
        assert!(svg.contains(program), "{svg}");
        assert!(page.contains(program), "{page}");
    }
}
