# DropViz in a container:
#
#   docker build -t dropviz .
#   docker run --rm -p 127.0.0.1:8501:8501 -v dropviz:/data dropviz
#
# BASE is any Debian with python3 (3.11 or newer) and its venv package. Where packages come from, and so whether
# PyTorch is the CPU or the CUDA build, is pip's own settings: --build-arg PIP_INDEX_URL=… PIP_EXTRA_INDEX_URL=…
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/dropviz
RUN python3 -m venv venv
COPY requirements.txt constraints.txt ./
RUN venv/bin/pip install --only-binary=:all: -c constraints.txt -r requirements.txt
COPY . .
RUN venv/bin/pip install --no-deps --no-build-isolation --editable . \
    && venv/bin/python -m compileall -q dropviz pages app.py \
    && venv/bin/pip uninstall --yes pip

FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends dataset-fashion-mnist tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin dropviz \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data
COPY --from=build /opt/dropviz /opt/dropviz
ENV PATH=/opt/dropviz/venv/bin:$PATH \
    HOME=/data \
    DROPVIZ_DATA=/data \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/dropviz
USER 10001:10001
VOLUME /data
EXPOSE 8501
# Not urllib: it would send even this to a proxy that the environment names.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as To; to = To('127.0.0.1', 8501, timeout=4); to.request('GET', '/_stcore/health'); raise SystemExit(to.getresponse().status != 200)"]
# tini passes signals on and collects what ends, so that `docker stop` is a clean stop; -s: under `--init` too.
ENTRYPOINT ["tini", "-s", "--"]
CMD ["dropviz", "serve", "--host", "0.0.0.0"]
