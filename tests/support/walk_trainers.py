"""Trainers that KWOK plays for a walk: preparations, trials of which some fail, and finalists."""

from typing import Any

Json = dict[str, Any]

_STATUS = """
{{{{ $spec := (index (index .spec.containers 0).env 0).value }}}}
{{{{ $hash := index .metadata.annotations "blockqnn.dev/block-hash" | default "" }}}}
{{{{ $digits := regexReplaceAll "[^0-9]" (sha256sum $hash) "" | trunc 6 }}}}
{{{{ $fails := {fails} }}}}
{{{{ $start := (index .status.containerStatuses 0).state.running.startedAt }}}}
containerStatuses:
{{{{ range .spec.containers }}}}
- image: {{{{ .image | Quote }}}}
  name: {{{{ .name | Quote }}}}
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: {{{{ if $fails }}}}2{{{{ else }}}}0{{{{ end }}}}
      reason: Completed
      startedAt: {{{{ $start | Quote }}}}
      finishedAt: {{{{ Now | Quote }}}}
      message: {{{{ if $fails }}}}'no such device'{{{{ else }}}}'{message}'{{{{ end }}}}
{{{{ end }}}}
phase: {{{{ if $fails }}}}Failed{{{{ else }}}}Succeeded{{{{ end }}}}
"""

_OF_SPEC = '{{ regexFind "\\"%s\\":[0-9]+" $spec }}'
"""A number of the specification, with its name."""

_HASH = '"blockHash":"{{ $hash }}"'

_TRIAL = (
    f'{{"version":1,{_OF_SPEC % "trial"},{_OF_SPEC % "attempt"},{_HASH},"outcome":"Succeeded",'
    '"reason":"Completed","accuracy":0.{{ $digits }},"curve":[0.1,0.2],"parameters":1234567,'
    '"macs":123456789,"device":"simulated","seconds":{"train":3600.0,"total":3600.0}}'
)

_FINALIST = (
    f'{{"version":1,{_OF_SPEC % "trial"},{_OF_SPEC % "attempt"},{_OF_SPEC % "seed"},'
    '"target":"{{ $target }}",' + _HASH + ',"outcome":"Succeeded","reason":"Completed",'
    '"accuracy":0.9{{ $digits }},"epoch":1,"epochs":1,"parameters":1234567,"macs":123456789,'
    '"device":"simulated","seconds":{"total":3600.0}}'
)

_PREPARATION = '{"version":1,"prepared":true,"reason":"Prepared","message":"4 images are ready."}'

_SOME = 'regexMatch "^[0-3]" (sha256sum $hash)'
"""A quarter of the blocks, the same in every search."""


TO_BE_SEEN = 6
"""Seconds that a finalist takes."""


def stages() -> list[Json]:
    """Return KWOK's stages, which end every Pod a moment after it has started.

    Those of finalists take long enough to be seen; those that train several blocks run for ever.
    """
    none = 'eq "a" "b"'
    target = '{{ $target := index .metadata.labels "blockqnn.dev/target" | default "" }}\n'
    return [
        _stage("trial", _STATUS.format(fails=_SOME, message=_TRIAL)),
        _stage("finalist", target + _STATUS.format(fails=none, message=_FINALIST), TO_BE_SEEN),
        _stage("preparation", _STATUS.format(fails=none, message=_PREPARATION)),
    ]


def _stage(component: str, status: str, seconds: int = 0) -> Json:
    if component == "preparation":
        status = status.replace("{{ $spec := (index (index .spec.containers 0).env 0).value }}", "")
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"{component}-ends"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {
                "matchExpressions": [
                    {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
                    {"key": ".status.phase", "operator": "In", "values": ["Running"]},
                    {
                        "key": '.metadata.labels["app.kubernetes.io/component"]',
                        "operator": "In",
                        "values": [component],
                    },
                    {
                        "key": '.metadata.annotations["blockqnn.dev/blocks"]',
                        "operator": "DoesNotExist",
                    },
                ]
            },
            "delay": {"durationMilliseconds": seconds * 1000},
            "next": {"statusTemplate": status},
        },
    }
