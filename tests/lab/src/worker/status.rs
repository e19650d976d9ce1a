//! The status that the kubelet reports: container states, conditions, phase.

use serde_json::{Value, json};

use crate::{
    cluster::Options,
    meta,
    runtime::{Exit, User},
};

/// What is known of one container.
#[derive(Debug, Clone)]
pub struct ContainerStatus {
    pub name: String,
    /// The list of the spec that it stands in.
    pub list: &'static str,
    pub state: Value,
    pub last_state: Value,
    pub restarts: u32,
    /// The reference: as in the spec until the image was found, then as the runtime writes it.
    pub image: String,
    pub image_id: String,
    pub container_id: String,
    pub user: Option<User>,
    /// Nothing will start it again.
    pub final_state: bool,
}

impl ContainerStatus {
    pub fn new(list: &'static str, container: &Value, reason: &str) -> Self {
        Self {
            name: meta::text(container, "name").to_owned(),
            list,
            state: waiting(reason, None),
            last_state: json!({}),
            restarts: 0,
            image: meta::text(container, "image").to_owned(),
            image_id: String::new(),
            container_id: String::new(),
            user: None,
            final_state: false,
        }
    }

    pub fn is_running(&self) -> bool {
        self.state["running"].is_object()
    }

    pub fn exit_code(&self) -> Option<i64> {
        self.state["terminated"]["exitCode"].as_i64()
    }

    fn render(&self, spec: &Value, options: Options) -> Value {
        let mut status = json!({
            "name": self.name,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.is_ready(spec),
            "restartCount": self.restarts,
            "image": self.image,
            "imageID": self.image_id,
        });
        if self.list != "ephemeralContainers" {
            status["started"] = self.is_running().into();
        }
        if self.container_id.is_empty() {
            return status;
        }
        status["containerID"] = format!("containerd://{}", self.container_id).into();
        status["resources"] = spec["resources"].clone();
        if meta::is_set(&spec["resources"]["requests"]) {
            status["allocatedResources"] = spec["resources"]["requests"].clone();
        }
        let mounts: Vec<Value> = meta::items(spec, "volumeMounts").iter().map(mount_status).collect();
        if !mounts.is_empty() {
            status["volumeMounts"] = mounts.into();
        }
        if let Some(user) = self.user.as_ref().filter(|_| options.report_users) {
            let linux = json!({"uid": user.uid, "gid": user.gid, "supplementalGroups": user.supplemental_groups});
            status["user"] = json!({ "linux": linux });
        }
        status
    }

    fn is_ready(&self, spec: &Value) -> bool {
        match self.list {
            "containers" => self.is_running(),
            "initContainers" if spec["restartPolicy"] == "Always" => self.is_running(),
            "initContainers" => self.exit_code() == Some(0),
            _ => false,
        }
    }
}

fn mount_status(mount: &Value) -> Value {
    let mut status = json!({"name": mount["name"], "mountPath": mount["mountPath"]});
    if mount["readOnly"] == json!(true) {
        status["readOnly"] = true.into();
        status["recursiveReadOnly"] = "Disabled".into();
    }
    status
}

pub fn waiting(reason: &str, message: Option<&str>) -> Value {
    match message {
        Some(message) => json!({"waiting": {"reason": reason, "message": message}}),
        None => json!({"waiting": {"reason": reason}}),
    }
}

pub fn running() -> Value {
    json!({"running": {"startedAt": meta::now()}})
}

pub fn terminated(exit: &Exit, id: &str) -> Value {
    let reason = match exit {
        Exit { oom_killed: true, .. } => "OOMKilled",
        Exit { code: 0, .. } => "Completed",
        _ => "Error",
    };
    let second = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut state = json!({
        "exitCode": exit.code,
        "reason": reason,
        "startedAt": second(exit.started),
        "finishedAt": second(exit.finished),
        "containerID": format!("containerd://{id}"),
    });
    if !exit.message.is_empty() {
        state["message"] = exit.message.as_str().into();
    }
    json!({ "terminated": state })
}

/// A container whose first process never came to run.
pub fn start_error(message: &str, id: &str) -> Value {
    json!({"terminated": {
        "exitCode": 128,
        "reason": "StartError",
        "message": message,
        "startedAt": "1970-01-01T00:00:00Z",
        "finishedAt": meta::now(),
        "containerID": format!("containerd://{id}"),
    }})
}

/// What is known of the pod itself.
#[derive(Debug, Clone, Default)]
pub struct PodFacts {
    pub sandbox_ready: bool,
    pub initialized: bool,
    pub ip: Option<String>,
    pub started: String,
}

/// Writes a pod's status anew; conditions keep the time of their last change.
pub fn write(pod: &mut Value, facts: &PodFacts, containers: &[ContainerStatus], options: Options) {
    let generation = pod["metadata"]["generation"].clone();
    let old = pod["status"].take();
    let mut status = json!({
        "observedGeneration": generation,
        "phase": phase(&pod["spec"], facts, containers),
        "qosClass": old["qosClass"],
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "startTime": facts.started,
        "resources": {},
    });
    if let Some(ip) = &facts.ip {
        status["podIP"] = ip.as_str().into();
        status["podIPs"] = json!([{ "ip": ip }]);
    }
    for (list, field) in [
        ("initContainers", "initContainerStatuses"),
        ("containers", "containerStatuses"),
        ("ephemeralContainers", "ephemeralContainerStatuses"),
    ] {
        let mut of_list: Vec<&ContainerStatus> = containers.iter().filter(|one| one.list == list).collect();
        of_list.sort_by(|one, other| one.name.cmp(&other.name));
        let rendered: Vec<Value> =
            of_list.into_iter().map(|one| one.render(spec_of(&pod["spec"], list, &one.name), options)).collect();
        if !rendered.is_empty() {
            status[field] = rendered.into();
        }
    }
    status["conditions"] = conditions(&pod["spec"], facts, containers, &old["conditions"], &generation);
    pod["status"] = status;
}

fn spec_of<'a>(spec: &'a Value, list: &str, name: &str) -> &'a Value {
    meta::items(spec, list).iter().find(|one| meta::text(one, "name") == name).unwrap_or(&Value::Null)
}

fn phase(spec: &Value, facts: &PodFacts, containers: &[ContainerStatus]) -> &'static str {
    let regular: Vec<&ContainerStatus> = containers.iter().filter(|one| one.list == "containers").collect();
    let init_failed = containers
        .iter()
        .any(|one| one.list == "initContainers" && one.final_state && one.exit_code().is_some_and(|code| code != 0));
    if init_failed && spec["restartPolicy"] == "Never" {
        return "Failed";
    }
    if !facts.initialized || regular.is_empty() {
        return "Pending";
    }
    if regular.iter().all(|one| one.final_state && one.exit_code().is_some()) {
        let good = regular.iter().all(|one| one.exit_code() == Some(0));
        return if good { "Succeeded" } else { "Failed" };
    }
    let started = |one: &&ContainerStatus| !one.container_id.is_empty();
    if regular.iter().any(started) { "Running" } else { "Pending" }
}

fn conditions(
    spec: &Value,
    facts: &PodFacts,
    containers: &[ContainerStatus],
    old: &Value,
    generation: &Value,
) -> Value {
    let ready =
        facts.initialized && containers.iter().filter(|one| one.list == "containers").all(ContainerStatus::is_running);
    let unready: Vec<&str> = containers
        .iter()
        .filter(|one| one.list == "containers" && !one.is_running())
        .map(|one| one.name.as_str())
        .collect();
    let completed = matches!(phase(spec, facts, containers), "Succeeded");
    let why_unready = if completed {
        Some(("PodCompleted", String::new()))
    } else if unready.is_empty() {
        None
    } else {
        Some(("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" "))))
    };
    [
        ("PodReadyToStartContainers", facts.sandbox_ready, None),
        ("Initialized", facts.initialized, None),
        ("Ready", ready, why_unready.clone()),
        ("ContainersReady", ready, why_unready),
        ("PodScheduled", true, None),
    ]
    .into_iter()
    .map(|(kind, holds, why)| {
        let truth = if holds { "True" } else { "False" };
        let before = old.as_array().into_iter().flatten().find(|one| one["type"] == kind && one["status"] == truth);
        let since = before.map_or_else(|| meta::now().into(), |one| one["lastTransitionTime"].clone());
        let mut condition = json!({
            "type": kind,
            "observedGeneration": generation,
            "status": truth,
            "lastProbeTime": null,
            "lastTransitionTime": since,
        });
        if let Some((reason, message)) = why.filter(|_| !holds) {
            condition["reason"] = reason.into();
            if !message.is_empty() {
                condition["message"] = message.into();
            }
        }
        condition
    })
    .collect()
}
