# The same steps as on a plain Debian machine: make installs everything.
FROM python:3.11-slim-bookworm

RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /trecx
COPY . .
RUN make setup
CMD ["make", "demo"]
