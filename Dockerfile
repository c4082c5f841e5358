# The watcher's image. Fluent Bit, beside it in the pod, has its own.
#
#     docker build --tag eventrouter:0.1.0 .
#
# For several platforms: docker buildx build --platform linux/amd64,linux/arm64 ...
# Both stages are of one Python: the environment is copied as it is. The digest is that of the index
# for all platforms, of Python 3.13.15 on Debian 13; Renovate keeps it new (.github/renovate.json).
ARG BASE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore

# What changes seldom comes first. Only wheels, by their hashes: nothing of them runs here.
COPY requirements/ requirements/
RUN pip install --require-hashes --only-binary :all: -r requirements/build.txt \
 && python -m venv --without-pip /opt/eventrouter \
 && pip --python /opt/eventrouter/bin/python \
      install --require-hashes --only-binary :all: -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY eventrouter/ eventrouter/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && pip --python /opt/eventrouter/bin/python install --no-deps /wheels/*.whl

# The asynchronous client is never imported, and of the rest of it few modules are: the others are
# not worth their bytecode. Unchecked: the sources under it never change.
RUN cd /opt/eventrouter/lib/python*/site-packages \
 && rm -r kubernetes/aio \
 && python -m compileall -q --invalidation-mode unchecked-hash -x '/kubernetes/client/(api|models)/' . \
 && /opt/eventrouter/bin/python -B -c 'import eventrouter.app, eventrouter.check, eventrouter.kube.credentials_loader'


FROM ${BASE}
LABEL org.opencontainers.image.title="eventrouter" \
      org.opencontainers.image.description="Keeps Kubernetes events, by Fluent Bit" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/eventrouter /opt/eventrouter
# The root may be read-only: nothing is written but to the buffer's volume.
# One malloc arena: several take 2.5 MiB more, for threads that hardly ever allocate at a time.
ENV PATH=/opt/eventrouter/bin:$PATH PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=1
# A number, so that `runAsNonRoot` can be checked.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["eventrouter"]
