"""A stand-in for kube-apiserver that serves core/v1 Events to readers."""
