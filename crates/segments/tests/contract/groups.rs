use nisshi_sans_io::ErrorCode;
use nisshi_storage::{
    ArcDynStorage, GroupDetail, GroupDetailResponse, OffsetCommitRequest, TopicId, Topition, UpdateError,
};

use super::topic;

fn detail(generation: i32) -> GroupDetail {
    GroupDetail { generation_id: generation, ..GroupDetail::default() }
}

async fn commit(storage: &ArcDynStorage, group: &str, topition: &Topition, offset: i64) -> ErrorCode {
    let commit = OffsetCommitRequest::default().offset(offset);
    storage.offset_commit(group, None, &[(topition.clone(), commit)]).await.unwrap()[0].1
}

async fn committed(storage: &ArcDynStorage, group: &str, topition: &Topition) -> i64 {
    storage.offset_fetch(Some(group), std::slice::from_ref(topition), Some(false)).await.unwrap()[topition]
}

pub(crate) async fn a_group_is_replaced_only_by_who_has_seen_it(storage: &ArcDynStorage) {
    assert!(storage.group_with_version("g").await.unwrap().is_none());
    let first = storage.update_group("g", detail(1), None).await.unwrap();
    let (found, version) = storage.group_with_version("g").await.unwrap().unwrap();
    assert_eq!((found.generation_id, &version), (1, &first));

    let second = storage.update_group("g", detail(2), Some(first.clone())).await.unwrap();
    assert_ne!(first, second);
    for stale in [None, Some(first)] {
        match storage.update_group("g", detail(9), stale).await {
            Err(UpdateError::Outdated { current, version }) => {
                assert_eq!((current.generation_id, &version), (2, &second));
            }
            other => panic!("{other:?}"),
        }
    }
    storage.update_group("g", detail(3), Some(second)).await.unwrap();
    assert_eq!(storage.group_with_version("g").await.unwrap().unwrap().0.generation_id, 3);
}

pub(crate) async fn committed_offsets_are_kept_by_group(storage: &ArcDynStorage) {
    let first = topic(storage, "offsets", 2, &[]).await;
    let second = Topition::new("offsets", 1);
    assert_eq!(committed(storage, "g", &first).await, -1);
    assert_eq!(commit(storage, "g", &first, 5).await, ErrorCode::None);
    assert_eq!(commit(storage, "g", &second, 7).await, ErrorCode::None);
    assert_eq!(commit(storage, "gg", &first, 9).await, ErrorCode::None);
    assert_eq!(commit(storage, "g", &first, 6).await, ErrorCode::None);
    let unknown = Topition::new("nobody", 0);
    assert_eq!(commit(storage, "g", &unknown, 1).await, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(committed(storage, "g", &first).await, 6);
    assert_eq!(committed(storage, "gg", &first).await, 9);
    assert_eq!(committed(storage, "gg", &second).await, -1);
    let all = storage.committed_offset_topitions("g").await.unwrap();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), [(first, 6), (second, 7)]);
}

pub(crate) async fn a_deleted_group_is_gone(storage: &ArcDynStorage) {
    let topition = topic(storage, "deleting", 1, &[]).await;
    storage.update_group("joined", detail(1), None).await.unwrap();
    commit(storage, "committed", &topition, 3).await;
    let names = async || {
        let mut names: Vec<_> = storage.list_groups().await.unwrap().into_iter().map(|group| group.name).collect();
        names.sort();
        names
    };
    assert_eq!(names().await, ["committed", "joined"]);
    let wanted = ["joined", "committed", "nobody"].map(str::to_owned);
    let described = storage.describe_groups(Some(&wanted), false).await.unwrap();
    assert!(matches!(described[0].response, GroupDetailResponse::Found(_)));
    assert!(matches!(described[1].response, GroupDetailResponse::Found(_)));
    assert_eq!(described[2].response, GroupDetailResponse::ErrorCode(ErrorCode::GroupIdNotFound));

    let deleted = storage.delete_groups(Some(&wanted[..2])).await.unwrap();
    assert!(deleted.iter().all(|result| result.error_code == 0), "{deleted:?}");
    assert!(names().await.is_empty());
    assert!(storage.group_with_version("joined").await.unwrap().is_none());
    assert_eq!(committed(storage, "committed", &topition).await, -1);
}

pub(crate) async fn committed_offsets_of_a_deleted_topic_are_gone(storage: &ArcDynStorage) {
    let gone = topic(storage, "gone", 1, &[]).await;
    let stays = topic(storage, "stays", 1, &[]).await;
    commit(storage, "g", &gone, 3).await;
    commit(storage, "g", &stays, 4).await;
    storage.delete_topic(&TopicId::from("gone")).await.unwrap();
    topic(storage, "gone", 1, &[]).await;
    assert_eq!(committed(storage, "g", &gone).await, -1);
    assert_eq!(committed(storage, "g", &stays).await, 4);
}
