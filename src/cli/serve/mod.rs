//! `gradlens serve`: the built page on this machine, or verdicts and explanations for other programs.

mod door;
mod explaining;
mod form;
mod listen;
mod metrics;
mod page;
mod problem;
mod service;
mod turns;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime;

use super::{Outcome, args, failure::Failure, say};
use service::Service;

/// How long answers that are being sent may still take when the page's server is stopped.
const PAGE_PATIENCE: Duration = Duration::from_secs(2);

pub fn run(arguments: &args::Serve) -> Outcome {
    let (router, address, patience) = if arguments.verify {
        let service = Service::open(&arguments.service)?;
        let patience = Duration::from_secs(arguments.service.seconds);
        (
            door::guarded(service::router(service), arguments.service.listen),
            arguments.service.listen,
            patience,
        )
    } else {
        (
            page::router(&arguments.dir)?,
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            PAGE_PATIENCE,
        )
    };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::usage(format!("no threads can be started: {error}")))?;
    let served = runtime.block_on(serve(
        router,
        SocketAddr::new(address, arguments.port),
        patience,
    ));
    // A picture that is still being computed has nobody left to tell.
    runtime.shutdown_background();
    served?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the port, says where, and answers until the program is told to stop.
async fn serve(router: Router, at: SocketAddr, patience: Duration) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("port {} cannot be opened: {error}", at.port()))
    };
    let listener = TcpListener::bind(at).await.map_err(failed)?;
    let at = listener.local_addr().map_err(failed)?;
    let stop = listen::told_to_stop().map_err(failed)?;
    say(&format!("http://{at}/ (stop with Ctrl+C)"));
    listen::listen(listener, router, stop, patience).await;
    Ok(())
}
