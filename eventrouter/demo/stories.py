"""Stories of a small cluster, told by their events.

A story yields one event after another. If it yields an event again, that has happened again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from eventrouter.demo.cast import JOBS, NODES, App, Cast, Event, Pod

Story = Iterator[Event]


class Narrator:
    """Tells stories without end. `chance` alone decides which ones, and about which workloads."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._cast = Cast(chance)
        self._told: list[Callable[[], Story]] = []

    def story(self) -> Story:
        """Another story. No story is told again before all others have been told."""
        if not self._told:
            self._told = [
                self.rollout,
                self.failing_probe,
                self.cron_job,
                self.autoscaling,
                self.crash_loop,
                self.no_room,
                self.missing_config,
                self.lost_node,
            ]
            self._chance.shuffle(self._told)
        return self._told.pop()()

    def rollout(self) -> Story:
        """A new version replaces the old one, pod by pod."""
        cast, app, replicas = self._cast, self._cast.app(), self._chance.randint(2, 3)
        old, new, image = cast.replica_set(app), cast.replica_set(app), cast.image(app)
        for number in range(replicas):
            yield cast.scaled(app, new, before=number, after=number + 1)
            yield from self._replica(cast.pod(app, owner=new, image=image), new)
            left = replicas - number
            yield cast.scaled(app, old, before=left, after=left - 1)
            gone = cast.pod(app, owner=old)
            yield cast.by_replica_set(app, old, "SuccessfulDelete", f"Deleted pod: {gone.name}")
            yield cast.in_container(gone, "Killing", f"Stopping container {app.name}")

    def failing_probe(self) -> Story:
        """A pod fails its readiness probe until it is restarted."""
        cast, pod = self._cast, self._cast.running_pod()
        failed = "Readiness probe failed: HTTP probe failed with statuscode: 503"
        unready = cast.in_container(pod, "Unhealthy", failed)
        yield from [unready] * self._chance.randint(4, 12)
        address = f"10.244.{self._chance.randint(1, 4)}.{self._chance.randint(2, 254)}"
        yield cast.in_container(
            pod,
            "Unhealthy",
            f'Liveness probe failed: Get "http://{address}:8080/healthz": context deadline exceeded'
            " (Client.Timeout exceeded while awaiting headers)",
        )
        killing = f"Container {pod.app.name} failed liveness probe, will be restarted"
        yield cast.in_container(pod, "Killing", killing)
        yield from self._again(pod)

    def crash_loop(self) -> Story:
        """A container exits each time that it is started."""
        pod = self._cast.running_pod()
        again = list(self._again(pod))
        back_off = self._cast.in_container(
            pod,
            "BackOff",
            f"Back-off restarting failed container {pod.app.name} in pod"
            f" {pod.name}_{pod.app.namespace}({pod.uid})",
        )
        for _ in range(self._chance.randint(3, 5)):
            yield from (*again, back_off, back_off)

    def lost_node(self) -> Story:
        """A node stops answering, its pods move to other nodes, and it comes back."""
        cast, node = self._cast, self._chance.choice(NODES)
        loop, ready = "node-controller", "Node {} status is now: {}"
        pods = [cast.running_pod(node=node) for _ in range(self._chance.randint(2, 4))]
        lost = ready.format(node, "NodeNotReady")
        yield cast.of_node(node, "NodeNotReady", lost, loop=loop) | {"type": "Normal"}
        for pod in pods:
            yield cast.of_pod(pod, "NodeNotReady", "Node is not ready", loop=loop)
        for pod in pods:
            marking = f"Marking for deletion Pod {pod.app.namespace}/{pod.name}"
            eviction = "taint-eviction-controller"
            yield cast.of_pod(pod, "TaintManagerEviction", marking, loop=eviction)
            replica_set = pod.name.rpartition("-")[0]
            elsewhere = self._chance.choice([other for other in NODES if other != node])
            heir = cast.pod(pod.app, owner=replica_set, image=pod.image, node=elsewhere)
            yield from self._replica(heir, replica_set)
        yield cast.of_node(node, "Starting", "Starting kubelet.")
        for condition in ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeReady"):
            yield cast.of_node(node, condition, ready.format(node, condition))
        registered = f"Node {node} event: Registered Node {node} in Controller"
        yield cast.of_node(node, "RegisteredNode", registered, loop=loop)

    def cron_job(self) -> Story:
        """A cron job creates a job, which completes."""
        cast, app = self._cast, self._chance.choice(JOBS)
        job = f"{app.name}-{self._chance.randint(29_000_000, 29_999_999)}"

        def by_cron(reason: str, message: str) -> Event:
            loop = "cronjob-controller"
            return cast.by_controller(app, "CronJob", app.name, reason, message, loop=loop)

        def by_job(reason: str, message: str) -> Event:
            return cast.by_controller(app, "Job", job, reason, message, loop="job-controller")

        yield by_cron("SuccessfulCreate", f"Created job {job}")
        pod = cast.pod(app, owner=job)
        yield by_job("SuccessfulCreate", f"Created pod: {pod.name}")
        yield from self._starts(pod)
        yield by_job("Completed", "Job completed")
        yield by_cron("SawCompletedJob", f"Saw completed job: {job}, condition: Complete")

    def autoscaling(self) -> Story:
        """The load grows, and an autoscaler adds pods."""
        cast, app = self._cast, self._cast.app()
        before = self._chance.randint(2, 4)
        after = before + self._chance.randint(1, 2)
        yield self._rescaled(app, after)
        replica_set, image = cast.replica_set(app), cast.image(app)
        yield cast.scaled(app, replica_set, before=before, after=after)
        for _ in range(after - before):
            pod = cast.pod(app, owner=replica_set, image=image)
            yield from self._replica(pod, replica_set)

    def no_room(self) -> Story:
        """A pod waits until a node has room for it."""
        pod = self._cast.running_pod()
        waiting = self._cast.of_scheduling(
            pod,
            "FailedScheduling",
            "0/5 nodes are available: 1 node(s) had untolerated taint"
            " {node-role.kubernetes.io/control-plane: }, 4 Insufficient memory. preemption: 0/5"
            " nodes are available: 1 Preemption is not helpful for scheduling, 4 No preemption"
            " victims found for incoming pod.",
            action="Scheduling",
        )
        yield from [waiting] * self._chance.randint(3, 6)
        yield from self._starts(pod)

    def missing_config(self) -> Story:
        """A pod waits until its config map exists."""
        cast, pod = self._cast, self._cast.running_pod()
        yield self._scheduled(pod)
        failed = cast.of_pod(
            pod,
            "FailedMount",
            f'MountVolume.SetUp failed for volume "config" : configmap "{pod.app.name}-config"'
            " not found",
        )
        yield from [failed] * self._chance.randint(3, 7)
        yield from self._runs(pod)

    def _replica(self, pod: Pod, replica_set: str) -> Story:
        created = f"Created pod: {pod.name}"
        yield self._cast.by_replica_set(pod.app, replica_set, "SuccessfulCreate", created)
        yield from self._starts(pod)

    def _starts(self, pod: Pod) -> Story:
        yield self._scheduled(pod)
        yield from self._runs(pod)

    def _runs(self, pod: Pod) -> Story:
        took, size = (
            f"{self._chance.uniform(0.4, 9):.3f}s",
            self._chance.randint(9, 180) * 1_048_577,
        )
        yield self._cast.in_container(pod, "Pulling", f'Pulling image "{pod.image}"')
        yield from self._launch(
            pod,
            f'Successfully pulled image "{pod.image}" in {took} ({took} including waiting).'
            f" Image size: {size} bytes.",
        )

    def _again(self, pod: Pod) -> Story:
        return self._launch(pod, f'Container image "{pod.image}" already present on machine')

    def _launch(self, pod: Pod, pulled: str) -> Story:
        name = pod.app.name
        yield self._cast.in_container(pod, "Pulled", pulled)
        yield self._cast.in_container(pod, "Created", f"Created container: {name}")
        yield self._cast.in_container(pod, "Started", f"Started container {name}")

    def _scheduled(self, pod: Pod) -> Event:
        assigned = f"Successfully assigned {pod.app.namespace}/{pod.name} to {pod.node}"
        return self._cast.of_scheduling(pod, "Scheduled", assigned, action="Binding")

    def _rescaled(self, app: App, size: int) -> Event:
        return self._cast.by_controller(
            app,
            "HorizontalPodAutoscaler",
            app.name,
            "SuccessfulRescale",
            f"New size: {size}; reason: cpu resource utilization (percentage of request) above"
            " target",
            loop="horizontal-pod-autoscaler",
        )
