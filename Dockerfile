# The image that ships: Cairn's rooms beside an environment made from the lock file, as a plain user.
FROM python:3.11-slim AS build
WORKDIR /opt/cairn
RUN python -m venv /opt/environment
ENV PATH=/opt/environment/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock ./
RUN pip install --quiet --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY domain domain
COPY projections projections
COPY infra infra
COPY services services
RUN pip install --quiet --no-deps --no-build-isolation --editable . \
    && python -m compileall -q domain projections infra services

FROM python:3.11-slim
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/cairn --create-home cairn \
    && chmod 700 /var/lib/cairn
COPY --from=build /opt/environment /opt/environment
COPY --from=build /opt/cairn /opt/cairn
ENV PATH=/opt/environment/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CAIRN_DATA=/var/lib/cairn
USER cairn
WORKDIR /var/lib/cairn
VOLUME /var/lib/cairn
EXPOSE 8000
ENTRYPOINT ["cairn"]
CMD ["--help"]
