//! The service: `POST /v1/verify` and `/v1/explain`, and what an operator asks. A picture is never written anywhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::time::timeout;
use tower_http::set_header::SetResponseHeaderLayer;

use super::super::failure::Failure;
use super::super::verify::claim::Claim;
use super::super::verify::desk::Desk;
use super::super::verify::shelf::{Models, Pictures};
use super::super::{args, device, keys};
use super::explaining::Explaining;
use super::form::Form;
use super::metrics::{self, Metrics};
use super::problem::Problem;
use super::turns::Turns;

/// What the routes take and give, for programs that want to know.
const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// What is done with a form, until then and no longer.
type Work = fn(&Service, Form, Instant) -> Result<Response, Problem>;

/// Everything that requests are answered with.
pub struct Service {
    desk: Desk,
    explaining: Explaining,
    turns: Turns,
    metrics: Metrics,
    /// The largest body, in bytes.
    most: usize,
    /// The longest time that a request may take, in seconds.
    seconds: u64,
}

impl Service {
    /// Finds the models, and opens the one that is explained with by default, so that the first request need not wait for it.
    pub fn open(arguments: &args::Service) -> Result<Service, Failure> {
        let place = device::place(arguments.place)?;
        let models = Arc::new(Models::at(arguments.model.as_deref())?);
        let key = arguments.key.as_deref().map(keys::public).transpose()?;
        let tolerances = device::tolerances(arguments.place.precision, arguments.tolerance);
        let sign = arguments.sign.as_deref().map(keys::private).transpose()?;
        Ok(Service {
            explaining: Explaining::open(place.engine.clone(), models.clone(), sign)?,
            desk: Desk::new(place.engine, models, Pictures::none(), key, tolerances),
            turns: Turns::new(place.pictures, arguments.waiting.into()),
            metrics: Metrics::new(),
            most: (arguments.most_megabytes as usize) << 20,
            seconds: arguments.seconds,
        })
    }

    /// Answers a request within the limits of time and number: reads its form, waits for its turn, and works on it.
    async fn answer(
        self: Arc<Self>,
        route: &'static str,
        request: Request,
        fields: &[&str],
        work: Work,
    ) -> Response {
        let begun = Instant::now();
        let limit = Duration::from_secs(self.seconds);
        let answer = self.clone().worked(request, fields, work, begun + limit);
        let response = match timeout(limit, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(Problem::Late)) | Err(_) => (&Problem::TooLong(self.seconds)).into_response(),
            Ok(Err(problem)) => (&problem).into_response(),
        };
        let status = response.status().as_u16();
        self.metrics.answered(route, status, begun.elapsed());
        response
    }

    async fn worked(
        self: Arc<Self>,
        request: Request,
        fields: &[&str],
        work: Work,
        until: Instant,
    ) -> Result<Response, Problem> {
        let inside = self.turns.enter().ok_or(Problem::Busy)?;
        let form = Form::read(request, fields).await?;
        let turn = self.turns.turn().await;
        let work = tokio::task::spawn_blocking(move || {
            // A picture that nobody waits for any more is worked on to its end: until then its places are taken.
            let _held = (inside, turn);
            work(&self, form, until)
        });
        work.await
            .map_err(|error| Problem::Internal(error.to_string()))?
    }

    fn verify(&self, mut form: Form, _: Instant) -> Result<Response, Problem> {
        let (report, picture) = (form.file("report")?, form.file("picture")?);
        let claim = Claim::read(report.name, &report.bytes);
        let check = self.desk.examine(&claim, Some(&picture.bytes)).check;
        self.metrics.judged(check.verdict.words());
        Ok(Json(check).into_response())
    }
}

/// The routes.
pub fn router(service: Service) -> Router {
    let most = service.most;
    Router::new()
        .route("/v1/verify", post(verify))
        .route("/v1/explain", post(explain))
        .layer(DefaultBodyLimit::max(most))
        .route("/v1/openapi.json", get(openapi))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(measured))
        .fallback(async || refused(StatusCode::NOT_FOUND, "there is no such route"))
        .method_not_allowed_fallback(async || {
            let detail = "the route does not take this method";
            refused(StatusCode::METHOD_NOT_ALLOWED, detail)
        })
        .layer(SetResponseHeaderLayer::overriding(
            CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(SetResponseHeaderLayer::overriding(
            X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .with_state(Arc::new(service))
}

fn refused(status: StatusCode, detail: &str) -> Response {
    (&Problem::Form(status, detail.into())).into_response()
}

async fn verify(State(service): State<Arc<Service>>, request: Request) -> Response {
    let fields = ["report", "picture"];
    service
        .answer("/v1/verify", request, &fields, Service::verify)
        .await
}

async fn explain(State(service): State<Arc<Service>>, request: Request) -> Response {
    let work: Work = |service, form, until| service.explaining.explain(form, until);
    service
        .answer("/v1/explain", request, &Explaining::FIELDS, work)
        .await
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// Whether the next request would find room: what a load balancer asks.
async fn ready(State(service): State<Arc<Service>>) -> Response {
    match service.turns.has_room() {
        true => "ready\n".into_response(),
        false => (&Problem::Busy).into_response(),
    }
}

async fn measured(State(service): State<Arc<Service>>) -> Response {
    match service.metrics.text(&service.turns) {
        Ok(text) => ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response(),
        Err(error) => (&Problem::Internal(error.to_string())).into_response(),
    }
}
