//! A request's fields, within limits.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::StatusCode;

use super::problem::Problem;

/// The longest text of a field that is no file.
const TEXT: usize = 1024;

/// The fields that are files.
const FILES: [&str; 2] = ["picture", "report"];

/// A picture as it was sent.
pub struct Sent {
    /// The name that the sender gave it.
    pub name: String,
    pub bytes: Bytes,
}

/// The fields of a `multipart/form-data` request.
#[derive(Default)]
pub struct Form {
    files: BTreeMap<String, Sent>,
    texts: BTreeMap<String, String>,
}

impl Form {
    /// Reads a request's body; a field that is not among `known`, or comes twice, is refused.
    pub async fn read(request: Request, known: &[&str]) -> Result<Form, Problem> {
        let fields = Multipart::from_request(request, &()).await;
        let mut fields = fields.map_err(|rejection| {
            Problem::Form(StatusCode::UNSUPPORTED_MEDIA_TYPE, rejection.body_text())
        })?;
        let mut form = Form::default();
        while let Some(field) = fields.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                return Err(Problem::form(format!(
                    "there is no field '{name}'; the fields are {known}"
                )));
            }
            if form.files.contains_key(&name) || form.texts.contains_key(&name) {
                return Err(Problem::form(format!("the field '{name}' comes twice")));
            }
            if FILES.contains(&name.as_str()) {
                let sent = Sent {
                    name: field.file_name().unwrap_or(&name).to_owned(),
                    bytes: field.bytes().await.map_err(broken)?,
                };
                form.files.insert(name, sent);
            } else {
                let text = text(&name, field).await?;
                form.texts.insert(name, text);
            }
        }
        Ok(form)
    }

    /// A file that must be there.
    pub fn file(&mut self, name: &str) -> Result<Sent, Problem> {
        self.files
            .remove(name)
            .ok_or_else(|| Problem::form(format!("the field '{name}' is missing")))
    }

    /// A text, where it is there.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.texts.remove(name)
    }
}

async fn text(name: &str, mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > TEXT {
            return Err(Problem::form(format!(
                "the field '{name}' is longer than {TEXT} bytes"
            )));
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::form(format!("the field '{name}' is not UTF-8")))
}

fn broken(error: MultipartError) -> Problem {
    Problem::Form(error.status(), error.body_text())
}
