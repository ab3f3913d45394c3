//! What a real server refuses, in its words.

use anyhow::Result;
use axum::http::Request;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Client;
use kube::api::{Api as Objects, ListParams};
use serde_json::json;

use crate::served::Served;

async fn ask(client: &Client, uri: &str) -> kube::Result<String> {
    client.request_text(Request::get(uri).body(Vec::new()).unwrap_or_default()).await
}

async fn refusal(client: &Client, uri: &str) -> (u16, String) {
    match ask(client, uri).await {
        Err(kube::Error::Api(status)) => (status.code, status.message),
        other => (0, format!("{other:?}")),
    }
}

#[tokio::test]
async fn what_no_client_should_ask_is_refused_and_kept() -> Result<()> {
    let served = Served::with_pods(1)?;
    let client = served.client().await?;
    for (uri, code, message) in [
        ("/api/v1/pods?fieldSelector=spec.foo%3D1", 400, "field label not supported: spec.foo"),
        ("/api/v1/pods?labelSelector=a/b/c", 400, "unable to parse requirement"),
        ("/api/v1/pods?label=a", 400, "unknown query parameter \"label\""),
        ("/api/v1/pod", 404, "the server could not find the requested resource"),
        ("/apis/example.com/v1/things", 404, "404 page not found"),
        (
            "/api/v1/pods?watch=1&sendInitialEvents=true",
            422,
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        ("/api/v1/pods?resourceVersionMatch=Exact", 422, "forbidden unless resourceVersion is provided"),
    ] {
        let kept = served.api.mistakes().len();
        let (got, said) = refusal(&client, uri).await;
        assert!(got == code && said.contains(message), "{uri}: {got} {said}");
        assert_eq!(served.api.mistakes().len(), kept + 1, "{uri}: {:?}", served.api.mistakes());
        assert!(served.api.check().is_err());
    }
    Ok(())
}

#[tokio::test]
async fn what_a_client_cannot_know_is_refused_and_not_kept() -> Result<()> {
    let served = Served::with_pods(1)?;
    served.api.remove_group("networking.istio.io");
    let client = served.client().await?;
    let pods: Objects<Pod> = Objects::namespaced(client.clone(), "default");
    let error = pods.get("redis-9").await.unwrap_err();
    assert!(error.to_string().contains("pods \"redis-9\" not found"), "{error}");
    assert_eq!(refusal(&client, "/apis/networking.istio.io/v1/destinationrules").await.0, 404);
    served.api.check()
}

#[tokio::test]
async fn rules_are_those_of_the_objects() -> Result<()> {
    let served = Served::with_pods(1)?;
    served.api.restrict(&[json!({
        "kind": "ClusterRole",
        "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }]
    })])?;
    let client = served.client().await?;
    assert_eq!(served.pods().await?.list(&ListParams::default()).await?.items.len(), 1);
    let services: Objects<Service> = Objects::namespaced(client.clone(), "default");
    let error = services.list(&ListParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = error else { panic!("{error}") };
    assert_eq!(
        status.message,
        "services is forbidden: User \"system:serviceaccount:mtlsnoop:mtlsnoop\" cannot list resource \"services\" in \
         API group \"\" in the namespace \"default\""
    );
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert!(client.apiserver_version().await.is_ok(), "everybody may know the version");
    served.api.check()
}

#[tokio::test]
async fn a_token_that_is_gone_is_401() -> Result<()> {
    let served = Served::with_pods(1)?;
    let old = served.client().await?;
    ask(&old, "/version").await?;
    served.api.rotate_token()?;
    assert_eq!(refusal(&old, "/version").await, (401, "Unauthorized".to_owned()));
    ask(&served.client().await?, "/version").await?;
    served.api.check()
}
