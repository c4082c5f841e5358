"""The roles that the writer and `eventrouter setup` need, as the servers' security APIs take them.

Setup does not write them: a login that may hand out roles may do everything. Pure.
"""

from __future__ import annotations

from eventrouter.setup.mapping import Json, Server
from eventrouter.setup.objects import Parameters


def writer_role(server: Server, parameters: Parameters) -> Json:
    """What Fluent Bit's login needs: create documents, and with them the day's index."""
    if server is Server.ELASTICSEARCH:
        return _elasticsearch([], parameters, ["auto_configure", "create_doc"])
    return _opensearch(["indices:data/write/bulk"], parameters, ["create_index", "index"])


def setup_role(server: Server, parameters: Parameters) -> Json:
    """What the login of setup needs.

    Both servers delete old indices with the rights of the user who wrote the policy: therefore it
    needs `manage` on the indices (elastic.co, "Create or update lifecycle policy", prerequisites).
    """
    if server is Server.ELASTICSEARCH:
        return _elasticsearch(["manage_ilm", "manage_index_templates"], parameters, ["manage"])
    return _opensearch(
        [
            "cluster:admin/opendistro/ism/policy/get",
            "cluster:admin/opendistro/ism/policy/write",
            "indices:admin/index_template/get",
            "indices:admin/index_template/put",
            "indices:admin/index_template/simulate_index",
        ],
        parameters,
        ["manage"],
    )


def _elasticsearch(cluster: list[str], parameters: Parameters, privileges: list[str]) -> Json:
    indices = {"names": [parameters.pattern], "privileges": privileges}
    return {"cluster": cluster, "indices": [indices]}


def _opensearch(cluster: list[str], parameters: Parameters, actions: list[str]) -> Json:
    indices = {"index_patterns": [parameters.pattern], "allowed_actions": actions}
    return {"cluster_permissions": cluster, "index_permissions": [indices]}
