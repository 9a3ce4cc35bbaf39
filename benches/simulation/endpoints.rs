//! What an idle endpoint costs, in this world: memory until and when all are idle, and the time of each step.

use crate::{
    child::{Child, memory_kb},
    measure::{Effort, row},
};
use std::time::{Duration, Instant};
use wavetank::{
    gateway,
    host::{Host, run_two},
    system::rpc::{Context, Reply, RpcEndpoint, RpcSystem},
};

/// The argument that makes this program the child of [`endpoints`].
pub const ENDPOINTS_CHILD: &str = "endpoints-child";

const ENDPOINTS: u32 = 1_000_000;

gateway! {
    /// Calls to an [`Idle`].
    pub gateway IdleGateway serves IdleHandler {
        /// Answers.
        ask ping() -> ();
    }
}

/// Has no state and nothing to do.
struct Idle;

impl RpcEndpoint for Idle {
    type Gateway = IdleGateway;
}

impl IdleHandler for Idle {
    fn ping(&mut self, _: &mut Context<Self>, reply: Reply<()>) {
        reply.ok(());
    }
}

/// Says that a step is done, and how much memory is taken and was at most, in kB.
fn done(step: &str) {
    println!("{step} {} {}", memory_kb("VmRSS"), memory_kb("VmHWM"));
}

/// Starts endpoints on one service, calls each once, and ends them.
pub fn endpoints_child(effort: Effort) {
    done("nothing");
    run_two(async |_| (), move |host| lead_lives(host, ENDPOINTS / effort.divisor));
    done("left");
}

async fn lead_lives(host: Host, count: u32) {
    let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
    let start = |number: u32| {
        let server = service.start_server(&format!("idle-{number}"), Idle).expect("a free name");
        server.start();
        server
    };
    let servers: Vec<_> = (0..count).map(start).collect();
    servers.last().expect("some").self_gateway().ping().await.expect("it runs");
    done("started");
    for server in &servers {
        server.self_gateway().ping().await.expect("it runs");
    }
    done("called");
    service.stop().await;
    for server in &servers {
        server.termination().await.expect("it ends well");
    }
    done("ended");
}

/// Runs in a process of its own, whose steps are timed from outside: in simulation clocks show simulated time.
pub fn endpoints(effort: Effort) {
    let count = f64::from(ENDPOINTS / effort.divisor);
    println!("endpoints: {count} idle ones on one service; aim: 1,000,000 in at most 1 GB");
    let mut begin = Instant::now();
    let mut nothing = 0.0;
    Child::start(ENDPOINTS_CHILD).each_line(|line| {
        let took = std::mem::replace(&mut begin, Instant::now()).elapsed();
        let words: Vec<&str> = line.split(' ').collect();
        let [step, resident, peak] = words[..] else { panic!("{line}") };
        let [resident, peak] = [resident, peak].map(|kb| kb.parse::<f64>().expect("a number"));
        match step {
            "nothing" => nothing = resident,
            "started" | "called" => {
                let each = (peak - nothing) * 1024.0 / count;
                tell(step, took, resident, peak);
                row("  bytes an endpoint, at the peak", format!("{each:.0}"));
            }
            _ => tell(step, took, resident, peak),
        }
    });
}

fn tell(step: &str, took: Duration, resident: f64, peak: f64) {
    let [resident, peak] = [resident, peak].map(|kb| kb * 1024.0 / 1e6);
    let took = took.as_secs_f64();
    row(step, format!("{took:.1} s, {resident:.0} MB resident, {peak:.0} MB at the peak"));
}
