"""A stand-in for kube-apiserver, as far as a reader of core/v1 Events can tell."""
