# The image of docker-compose.yml: the ringfirst command and what it needs to run, and nothing to build with.
FROM python:3.13.7-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_ONLY_BINARY=:all:
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/ringfirst && /opt/ringfirst/bin/pip install --require-hashes --requirement requirements.lock
# What builds the wheel is locked among the tools; it stays behind in this stage.
RUN awk '/^[a-z]/ {keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} keep' requirements-dev.lock \
    > build.lock && pip install --require-hashes --requirement build.lock
COPY pyproject.toml LICENSE ./
COPY engine ./engine
COPY streams ./streams
COPY outreach ./outreach
COPY ringfirst ./ringfirst
COPY rules ./rules
COPY templates ./templates
RUN python -m hatchling build --target wheel --directory /wheel \
    && /opt/ringfirst/bin/pip install --no-deps --no-index /wheel/ringfirst-*.whl \
    && /opt/ringfirst/bin/pip uninstall --yes pip

FROM python:3.13.7-slim-bookworm
COPY --from=build /opt/ringfirst /opt/ringfirst
# Nobody's account on the host has this number. What is written goes into one folder, for which there is a volume.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/ringfirst --shell /usr/sbin/nologin ringfirst \
    && install --directory --owner ringfirst --group ringfirst /var/lib/ringfirst /var/lib/ringfirst/outbox
ENV PATH=/opt/ringfirst/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/ringfirst
CMD ["ringfirst", "--help"]
