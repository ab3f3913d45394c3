//! Lists: selected, in parts, at a version, metadata alone.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api as Objects, ApiResource, DynamicObject, ListParams, VersionMatch};
use kube::core::GroupVersionKind;

use crate::served::{Served, names, pod, rule};

#[tokio::test]
async fn labels_and_fields_select() -> Result<()> {
    let served = Served::with_pods(4)?;
    let pods = served.pods().await?;
    for (params, expected) in [
        (ListParams::default(), vec!["redis-0", "redis-1", "redis-2", "redis-3"]),
        (ListParams::default().fields("spec.nodeName=node-1"), vec!["redis-1", "redis-3"]),
        (ListParams::default().fields("status.podIP=10.0.0.2"), vec!["redis-2"]),
        (ListParams::default().fields("status.podIPs=10.0.0.2"), vec![]),
        (ListParams::default().fields("metadata.name=redis-3"), vec!["redis-3"]),
        (
            ListParams::default().labels("apps.kubernetes.io/pod-index in (0, 3),app"),
            vec!["redis-0", "redis-3"],
        ),
        (ListParams::default().labels("app!=redis"), vec![]),
    ] {
        assert_eq!(names(&pods, &params).await?, expected, "{params:?}");
    }
    served.api.check()
}

#[tokio::test]
async fn parts_are_of_one_state_whatever_changes_meanwhile() -> Result<()> {
    let served = Served::with_pods(5)?;
    let pods = served.pods().await?;
    let first = pods.list(&ListParams::default().limit(2)).await?;
    assert_eq!(first.items.len(), 2);
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    served.api.delete("pods", "default", "redis-3")?;
    served.api.put(pod(9))?;
    let token = first.metadata.continue_.context("there is more")?;
    let rest = pods.list(&ListParams::default().limit(9).continue_token(&token)).await?;
    let rest: Vec<_> = rest.items.into_iter().filter_map(|pod| pod.metadata.name).collect();
    assert_eq!(rest, ["redis-2", "redis-3", "redis-4"]);
    assert_eq!(names(&pods, &ListParams::default()).await?.len(), 5, "that is how it is now");
    served.api.check()
}

#[tokio::test]
async fn an_old_part_is_410_with_a_token_to_go_on() -> Result<()> {
    let served = Served::with_pods(3)?;
    let pods = served.pods().await?;
    let first = pods.list(&ListParams::default().limit(1)).await?;
    served.api.expire_versions();
    let token = first.metadata.continue_.context("there is more")?;
    let error = pods.list(&ListParams::default().limit(1).continue_token(&token)).await.unwrap_err();
    let kube::Error::Api(status) = error else { panic!("{error}") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"), "{status:?}");
    served.api.check()
}

#[tokio::test]
async fn versions_are_kept_to() -> Result<()> {
    let served = Served::with_pods(1)?;
    let pods = served.pods().await?;
    let version = pods.list(&ListParams::default()).await?.metadata.resource_version.context("no version")?;
    served.api.put(pod(1))?;
    let exact = ListParams::default().at(&version).matching(VersionMatch::Exact);
    assert_eq!(names(&pods, &exact).await?, ["redis-0"]);
    let newer = ListParams::default().at(&version).matching(VersionMatch::NotOlderThan);
    assert_eq!(names(&pods, &newer).await?, ["redis-0", "redis-1"]);
    served.api.check()
}

#[tokio::test]
async fn metadata_alone_has_labels_and_no_addresses() -> Result<()> {
    let served = Served::with_pods(2)?;
    let pods = served.pods().await?;
    let listed = pods.list_metadata(&ListParams::default().fields("spec.nodeName=node-1")).await?;
    let [one] = listed.items.as_slice() else { panic!("{listed:?}") };
    assert_eq!(one.metadata.name.as_deref(), Some("redis-1"));
    assert!(one.metadata.managed_fields.as_ref().is_some_and(|fields| !fields.is_empty()), "{one:?}");
    let default: Objects<Pod> = Objects::namespaced(served.client().await?, "default");
    assert_eq!(default.get_metadata("redis-1").await?.metadata.name.as_deref(), Some("redis-1"));
    served.api.check()?;
    assert!(pods.get_opt("redis-1").await?.is_none(), "there is no path to it without its namespace");
    assert_eq!(served.api.mistakes().len(), 1, "{:?}", served.api.mistakes());
    Ok(())
}

#[tokio::test]
async fn custom_resources_are_served_in_each_version() -> Result<()> {
    let served = Served::start()?;
    served.api.put(rule("redis"))?;
    for version in ["v1", "v1beta1", "v1alpha3"] {
        let kind = GroupVersionKind::gvk("networking.istio.io", version, "DestinationRule");
        let resource = ApiResource::from_gvk(&kind);
        let rules: Objects<DynamicObject> = Objects::all_with(served.client().await?, &resource);
        let listed = rules.list(&ListParams::default()).await?;
        let [rule] = listed.items.as_slice() else { panic!("{listed:?}") };
        let types = rule.types.as_ref().context("custom resources say in lists what they are")?;
        assert_eq!(types.api_version, format!("networking.istio.io/{version}"));
        assert_eq!(rule.data["spec"]["trafficPolicy"]["tls"]["mode"], "DISABLE");
    }
    served.api.check()
}

#[tokio::test]
async fn discovery_tells_groups_that_are_there_and_no_others() -> Result<()> {
    let served = Served::start()?;
    served.api.remove_group("security.istio.io");
    let client = served.client().await?;
    let groups = client.list_api_groups().await?;
    let names: Vec<_> = groups.groups.iter().map(|group| group.name.as_str()).collect();
    assert!(names.contains(&"networking.istio.io") && !names.contains(&"security.istio.io"), "{names:?}");
    let rules = client.list_api_group_resources("networking.istio.io/v1").await?;
    assert!(rules.resources.iter().any(|resource| resource.kind == "DestinationRule"), "{rules:?}");
    let error = client.list_api_group_resources("security.istio.io/v1").await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    assert_eq!(client.apiserver_version().await?.minor, "36");
    served.api.check()
}
