//! Writes: what is named is written, what is not named is left alone.

use magnus_core::connection::{
    ConnectionErrorKind, Outcome, ProjectReading, Reading, RemoteWrite, UpdateTask, Written,
};
use magnus_core::model::{ExternalId, Field, RemoteValue, Value};

use super::bench::{Bench, Fields, assert_same_fields, task_of};
use super::verdict::needs;
use super::{Checked, ConnectionFixture, Verdict};

/// A new task is in its project, has an id, and reads as the create answered.
pub async fn a_new_task_reads_as_the_create_answered(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let made = bench.create("Brand new").await?;
    assert_eq!(made.project, bench.project);
    assert_eq!(made.skip, None, "an ordinary task is synced");
    assert!(bench.is_titled(&made, "Brand new"));
    let read = bench.present(&made.id).await?;
    assert_same_fields(&made, &read, &[], "its creation");
    assert_eq!(made.version, read.version);
    assert_eq!(bench.list().await?.len(), 1);
    Ok(Verdict::Holds)
}

/// Every field given to a create reads back in the form that the translator foretold.
pub async fn every_field_given_to_a_create_reads_back(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let longest = bench.writable().iter().map(|field| bench.samples(*field).len()).max();
    for round in 0..longest.unwrap_or_default() {
        let fields: Fields = bench
            .writable()
            .into_iter()
            .filter_map(|field| {
                let samples = bench.samples(field);
                let at = round.min(samples.len().checked_sub(1)?);
                Some((field, samples[at].clone()))
            })
            .collect();
        let made = bench.create_with(fields.clone()).await?;
        let read = bench.present(&made.id).await?;
        for (field, sent) in &fields {
            assert_eq!(made.value(*field), Some(sent), "{field} in the answer");
            assert_eq!(read.value(*field), Some(sent), "{field} read again");
        }
    }
    Ok(Verdict::Holds)
}

/// A change of one field leaves all others as they are.
pub async fn a_change_of_one_field_leaves_the_others_alone(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let first: Fields = bench
        .writable()
        .into_iter()
        .filter_map(|field| Some((field, bench.samples(field).into_iter().next()?)))
        .collect();
    let mut task = bench.create_with(first).await?;
    for field in bench.writable() {
        for value in bench.samples(field).into_iter().skip(1).take(1) {
            let written = bench.update(&task, [(field, value.clone())].into()).await?.task;
            assert_eq!(written.value(field), Some(&value), "{field} in the answer");
            let read = bench.present(&task.id).await?;
            assert_eq!(read.value(field), Some(&value), "{field} read again");
            let changed = |other: &&Field| task.fields.get(other).is_some_and(|shown| shown.derived);
            let derived: Vec<Field> = Field::ALL.iter().filter(changed).copied().collect();
            let except: Vec<Field> = derived.into_iter().chain([field]).collect();
            assert_same_fields(&task, &read, &except, &format!("a change of {field} alone"));
            task = read;
        }
    }
    Ok(Verdict::Holds)
}

/// What others set in other fields since we read stands after our change.
pub async fn a_change_does_not_undo_what_others_did_elsewhere(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Before").await?;
    needs!(
        fixture.other_renames(&task.id, "By somebody else").await,
        "nobody else can edit"
    );
    let field = bench.writable().into_iter().find(|field| *field != Field::Title);
    let field = needs!(field, "the tool has only titles");
    let value = needs!(bench.samples(field).pop(), "there is no value to write");
    let mut change = bench.change(&task, [(field, value)].into());
    if let RemoteWrite::Update(update) = &mut change {
        // Decided without a version: nothing may be overwritten all the same.
        update.version = None;
    }
    bench.write_one(change).await?;
    let read = bench.present(&task.id).await?;
    assert!(bench.is_titled(&read, "By somebody else"), "{read:?}");
    Ok(Verdict::Holds)
}

/// Every field that can be empty is emptied by a null, and by nothing else.
pub async fn every_field_that_can_be_empty_can_be_cleared(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    for field in bench.writable() {
        let Some(empty) = bench.encode(field, &Value::Empty) else {
            continue;
        };
        let Some(value) = bench.samples(field).into_iter().next() else {
            continue;
        };
        let mut fields = bench.titled("Full");
        fields.insert(field, value);
        let task = bench.create_with(fields).await?;
        let cleared = bench.update(&task, [(field, empty.clone())].into()).await?.task;
        assert_eq!(
            bench.value(&cleared, field),
            Some(Value::Empty),
            "{field} in the answer"
        );
        let read = bench.present(&task.id).await?;
        assert_eq!(read.value(field), Some(&empty), "{field} read again");
        assert!(bench.is_titled(&read, "Full"));
    }
    assert_eq!(
        bench.encode(Field::Title, &Value::Empty),
        None,
        "a title can not be empty"
    );
    Ok(Verdict::Holds)
}

/// The same change a second time changes nothing and is no error.
pub async fn the_same_change_twice_is_the_same(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Once").await?;
    let first = bench.update(&task, bench.titled("Twice")).await?.task;
    let second = bench.update(&first, bench.titled("Twice")).await?.task;
    assert_same_fields(&first, &second, &[], "the same change again");
    assert_eq!(bench.list().await?.len(), 1);
    Ok(Verdict::Holds)
}

/// A parent is set by a create, changed, and cleared.
pub async fn a_parent_is_set_changed_and_cleared(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(bench.has_parents(), "the tool has no parents");
    let (first, second) = (bench.create("First").await?, bench.create("Second").await?);
    let mut fields = bench.titled("Child");
    fields.insert(Field::Parent, RemoteValue::from(&first.id));
    let mut child = bench.create_with(fields).await?;
    assert_eq!(child.value(Field::Parent), Some(&RemoteValue::from(&first.id)));
    for parent in [
        RemoteValue::from(&second.id),
        RemoteValue::NULL,
        RemoteValue::from(&first.id),
    ] {
        bench.update(&child, [(Field::Parent, parent.clone())].into()).await?;
        child = bench.present(&child.id).await?;
        assert_eq!(child.value(Field::Parent), Some(&parent));
        assert!(bench.is_titled(&child, "Child"));
    }
    Ok(Verdict::Holds)
}

/// One result per write, in the order of the writes, in full batches.
pub async fn results_come_in_the_order_of_writes(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    assert!(
        bench.connection.write(Vec::new()).await.is_empty(),
        "no write, no result"
    );
    let titles: Vec<String> = (0..bench.can().batch_size.min(12))
        .map(|number| format!("Nr {number}"))
        .collect();
    let writes = titles.iter().map(|title| bench.creation(bench.titled(title))).collect();
    let mut made = Vec::new();
    for (result, title) in bench.connection.write(writes).await.into_iter().zip(&titles) {
        let task = task_of(result?).task;
        assert!(bench.is_titled(&task, title), "{task:?} is {title}");
        made.push(task);
    }
    assert_eq!(made.len(), titles.len());
    let changes = made
        .iter()
        .rev()
        .map(|task| bench.change(task, bench.titled(&format!("Task {}", task.id))));
    let results = bench.connection.write(changes.collect()).await;
    assert_eq!(results.len(), made.len());
    for (result, task) in results.into_iter().zip(made.iter().rev()) {
        let written = task_of(result?).task;
        assert_eq!(written.id, task.id);
        assert!(bench.is_titled(&written, &format!("Task {}", task.id)));
    }
    Ok(Verdict::Holds)
}

/// A write that fails leaves those beside it alone.
pub async fn a_write_that_fails_leaves_those_beside_it_alone(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(
        (bench.can().batch_size >= 3).then_some(()),
        "writes are given one at a time"
    );
    let mut missing = bench.create("Pattern").await?;
    missing.id = ExternalId::from(999_999);
    let writes = vec![
        bench.creation(bench.titled("Before it")),
        bench.change(&missing, bench.titled("Nowhere")),
        bench.creation(bench.titled("After it")),
    ];
    let mut results = bench.connection.write(writes).await;
    assert_eq!(results.len(), 3);
    let last = task_of(results.remove(2)?).task;
    let error = results.remove(1).expect_err("there is no such task");
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    assert!(bench.is_titled(&last, "After it"));
    assert_eq!(bench.find("Before it").await?.len(), 1);
    assert_eq!(bench.list().await?.len(), 3);
    Ok(Verdict::Holds)
}

/// A change of what is gone is an error, surely not applied, and makes nothing.
pub async fn a_change_of_a_deleted_task_makes_nothing(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Gone").await?;
    needs!(fixture.other_deletes(&task.id).await, "nobody else can delete");
    let error = bench
        .write_one(bench.change(&task, bench.titled("Back again")))
        .await
        .expect_err("it is gone");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ConnectionErrorKind::NotFound, Outcome::NotApplied),
        "{error}"
    );
    assert_eq!(bench.list().await?, []);
    Ok(Verdict::Holds)
}

/// A deleted task is gone; deleting what is gone counts as deleted.
pub async fn deleting_twice_is_deleted_both_times(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(bench.can().delete.then_some(()), "the tool cannot delete");
    let (gone, stays) = (bench.create("Gone").await?, bench.create("Stays").await?);
    for _ in 0..2 {
        let written = bench.write_one(bench.deletion(&gone.id)).await?;
        assert_eq!(written, Written::Deleted);
    }
    assert_eq!(bench.read(&gone.id).await?, Reading::Absent);
    assert_eq!(bench.list().await?.len(), 1);
    bench.present(&stays.id).await?;
    Ok(Verdict::Holds)
}

/// Whether children go with their parent is as the capabilities say.
pub async fn deleting_a_parent_does_what_the_capabilities_say(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(bench.has_parents(), "the tool has no parents");
    needs!(bench.can().delete.then_some(()), "the tool cannot delete");
    let parent = bench.create("Parent").await?;
    let mut fields = bench.titled("Child");
    fields.insert(Field::Parent, RemoteValue::from(&parent.id));
    let child = bench.create_with(fields).await?;
    bench.write_one(bench.deletion(&parent.id)).await?;
    let reading = bench.read(&child.id).await?;
    assert_eq!(
        reading == Reading::Absent,
        bench.can().delete_cascades,
        "the child reads {reading:?}"
    );
    Ok(Verdict::Holds)
}

/// A task that is moved is in the other project, with all its values.
pub async fn a_task_is_moved_with_all_its_values(fixture: &dyn ConnectionFixture) -> Checked {
    let other = needs!(fixture.another_project().await, "the tool has but one project");
    let bench = Bench::new(fixture).await?;
    assert!(matches!(
        bench.connection.read_project(other.clone()).await?,
        ProjectReading::Open(_)
    ));
    let fields = bench
        .writable()
        .into_iter()
        .filter_map(|field| Some((field, bench.samples(field).into_iter().next()?)));
    let task = bench.create_with(fields.collect()).await?;
    let change = RemoteWrite::Update(UpdateTask {
        id: task.id.clone(),
        project: bench.project.clone(),
        move_to: Some(other.clone()),
        version: task.version.clone(),
        fields: Fields::new(),
    });
    let moved = task_of(bench.write_one(change).await?).task;
    assert_eq!((&moved.id, &moved.project), (&task.id, &other));
    assert_same_fields(&task, &moved, &[Field::Parent], "the move");
    assert!(matches!(bench.read(&task.id).await?, Reading::Moved(_)));
    assert_eq!(bench.list().await?, []);
    Ok(Verdict::Holds)
}

/// A refusal names the field that is at fault, and nothing of the write is done.
pub async fn a_refusal_names_the_field_and_leaves_the_rest(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Untouched").await?;
    let field = bench
        .writable()
        .into_iter()
        .rfind(|field| *field != Field::Title && bench.samples(*field).len() > 1);
    let field = needs!(field, "the tool has only titles");
    needs!(fixture.refuse(field).await, "the tool refuses no single field");
    let value = needs!(bench.samples(field).pop(), "there is no value to write");
    let mut fields = bench.titled("Half written");
    fields.insert(field, value);
    let error = bench
        .write_one(bench.change(&task, fields))
        .await
        .expect_err("the field is refused");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ConnectionErrorKind::Rejected, Outcome::NotApplied),
        "{error}"
    );
    let named: Vec<Field> = error.rejected().iter().map(|rejected| rejected.field).collect();
    assert!(named.contains(&field) && !named.contains(&Field::Title), "{named:?}");
    // The rest without it goes through.
    bench.update(&task, bench.titled("Without it")).await?;
    fixture.heal().await;
    let read = bench.present(&task.id).await?;
    assert!(bench.is_titled(&read, "Without it"));
    assert_same_fields(&task, &read, &[Field::Title], "a refusal");
    Ok(Verdict::Holds)
}
