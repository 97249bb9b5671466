# DropViz in a container:
#
#   docker build -t dropviz .
#   docker run --rm -p 127.0.0.1:8501:8501 -v dropviz:/data dropviz
#
# BASE is any Debian with python3 (3.11 or newer) and its venv package. Where packages come from, and so whether PyTorch is the CPU
# or the CUDA build, is pip's own settings; DEVICE (cpu or cuda) stops the build if the other one was found. docs/container.md says more.
ARG BASE=python:3.11-slim-bookworm

# What DropViz imports, in /opt/venv. Only a changed list of requirements makes this layer anew.
FROM ${BASE} AS packages
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_CERT
ARG DEVICE=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_COMPILE=1 \
    PIP_ONLY_BINARY=:all: \
    PIP_PYTHON=/opt/venv/bin/python
# pip stands in an environment of its own, so that none is in the one that is kept.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/venv
WORKDIR /opt/dropviz
COPY requirements.txt requirements-cluster.txt requirements-login.txt constraints.txt setup/torch-build ./
# PyTorch first and alone: a wrong build is noticed before what it needs, gigabytes for CUDA, is fetched.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/pip/bin/pip install --no-deps "$(grep '^torch==' requirements.txt)" \
    && /opt/venv/bin/python torch-build "${DEVICE}"
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/pip/bin/pip install -c constraints.txt -r requirements.txt -r requirements-cluster.txt \
        -r requirements-login.txt
# Left out of what the wheels bring: the packages' own tests, and what only a compiler would read. The rest is compiled here, as no
# process of the container may write beside it; torch's _internal has a file for newer Pythons only.
RUN find /opt/venv/lib -type d \( -name tests -o -name include -o -path '*/torch/test' \) -prune -exec rm -r {} + \
    && find /opt/venv/lib -type f \( -name '*.a' -o -name '*.pyx' -o -name '*.pxd' \) -delete \
    && find /opt/venv/lib -type f -path '*/torch/bin/*' ! -name torch_shm_manager -delete \
    && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x torch/testing/_internal /opt/venv/lib

# DropViz itself, with its command and its version's record beside it, in /opt/dropviz.
FROM packages AS program
COPY . .
RUN /opt/pip/bin/pip install --no-deps --no-build-isolation --target /tmp/made . \
    && mv /tmp/made/bin /tmp/made/*.dist-info . \
    && rm -rf build ./*.egg-info constraints.txt pyproject.toml setup torch-build \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash dropviz pages app.py

FROM ${BASE}
# Unpinned: Debian's stable release changes these only to mend them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends dataset-fashion-mnist tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin dropviz \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data
COPY --from=packages /opt/venv /opt/venv
COPY --from=program /opt/dropviz /opt/dropviz
# In here it listens to every address; by DROPVIZ_HOSTS it answers to this machine's names alone all the same.
ENV PATH=/opt/dropviz/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/dropviz \
    HOME=/data \
    DROPVIZ_DATA=/data \
    DROPVIZ_HOSTS=localhost \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/dropviz
USER 10001:10001
VOLUME /data
EXPOSE 8501
# Not urllib: it would send even this to a proxy that the environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-IS", "-c", "from http.client import HTTPConnection as To; to = To('127.0.0.1', 8501, timeout=4); to.request('GET', '/_stcore/health'); raise SystemExit(to.getresponse().status != 200)"]
# tini passes signals on and collects what ends, so that `docker stop` is a clean stop; -s: under `--init` too.
ENTRYPOINT ["tini", "-s", "--"]
CMD ["dropviz", "serve", "--host", "0.0.0.0"]
# Last, because they change with every commit.
ARG VERSION=0.1.0
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="DropViz" \
      org.opencontainers.image.description="See what dropout does to training, split into its explicit and its implicit effect." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
