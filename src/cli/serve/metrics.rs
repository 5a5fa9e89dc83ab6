//! What the service counts, for Prometheus.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::turns::Turns;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the classes of time, in seconds.
const SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Judged {
    verdict: &'static str,
}

/// All counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    verdicts: Family<Judged, Counter>,
    inside: Gauge,
    computing: Gauge,
}

impl Metrics {
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("gradlens");
        let requests = Family::<Answered, Counter>::default();
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let seconds = Family::new_with_constructor(histogram);
        let verdicts = Family::<Judged, Counter>::default();
        let (inside, computing) = (Gauge::default(), Gauge::default());
        registry.register("requests", "Requests answered", requests.clone());
        registry.register_with_unit(
            "request",
            "From a request's head to its answer",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register("verdicts", "Reports judged", verdicts.clone());
        registry.register(
            "requests_inside",
            "Requests being read, waiting or computed",
            inside.clone(),
        );
        registry.register(
            "requests_computing",
            "Requests being computed",
            computing.clone(),
        );
        Metrics {
            registry,
            requests,
            seconds,
            verdicts,
            inside,
            computing,
        }
    }

    /// Counts an answer.
    pub fn answered(&self, route: &'static str, status: u16, took: Duration) {
        let answered = Answered {
            route,
            status: status.into(),
        };
        self.requests.get_or_create(&answered).inc();
        let seconds = self.seconds.get_or_create(&Route { route });
        seconds.observe(took.as_secs_f64());
    }

    /// Counts a verdict.
    pub fn judged(&self, verdict: &'static str) {
        self.verdicts.get_or_create(&Judged { verdict }).inc();
    }

    /// All of it, as OpenMetrics has it.
    pub fn text(&self, turns: &Turns) -> Result<String, std::fmt::Error> {
        let (inside, computing) = turns.taken();
        self.inside.set(i64::try_from(inside).unwrap_or(i64::MAX));
        self.computing
            .set(i64::try_from(computing).unwrap_or(i64::MAX));
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
