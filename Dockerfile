# Three images: `services` (all five; the command selects one), `web` and `edge`; and
# `dev`, which is `services` for a local cluster. For example:
#   docker build --target services --tag ticketing/services .
# Images are pinned by version: that of Node is in package.json, and a test compares them. Users
# are numeric, because a cluster cannot verify by a name that a user is not root.

FROM node:24.21.0-slim AS node
ENV NODE_ENV=production
WORKDIR /app

# The packages are installed first, from the lock file alone, so a change of code reuses this
# layer. The packages of the storefront are omitted here.
FROM node AS manifests
COPY package.json package-lock.json .npmrc ./
COPY proto/package.json proto/

# The lock file has Node as an optional package for developers' machines; the image has its own.
FROM manifests AS services-packages
RUN npm ci --omit=dev --ignore-scripts \
  && rm -rf node_modules/node-linux-* node_modules/.bin/node

# Node runs TypeScript directly, except under node_modules: @ticketing/proto must stay
# the link to /app/proto that npm made.
FROM node AS services
COPY --from=services-packages /app ./
COPY proto/gen proto/gen
COPY proto/currencies.ts proto/
COPY services services
# Half of the memory that the manifests allow: buffers and code are outside of the heap.
ENV NODE_OPTIONS="--max-old-space-size=256 --max-semi-space-size=16"
USER 1000:1000
CMD ["node", "--eval", "throw new Error('say which service: node services/orders/main.ts')"]

# With development packages, for the compiled contracts and for what only a local cluster runs.
FROM manifests AS all-packages
RUN npm ci --include=dev --ignore-scripts \
  && rm -rf node_modules/node-linux-* node_modules/.bin/node

# The local cluster adds the local Stripe and the mailbox, and code that can be replaced while it runs.
FROM services AS dev
USER 0
COPY --from=all-packages /app/node_modules node_modules
COPY stack/stripe stack/stripe
COPY stack/mailbox stack/mailbox
RUN mkdir /data && chown -R 1000:1000 proto services stack /data
USER 1000:1000

FROM manifests AS web-manifests
COPY web/package.json web/

FROM web-manifests AS web-build
RUN npm ci --include=dev --ignore-scripts --workspace=@ticketing/web --workspace=@ticketing/proto
COPY proto proto
COPY web web
RUN npm run build --workspace=@ticketing/web

# The bundle does not contain the dependencies in web/package.json.
FROM web-manifests AS web-packages
RUN npm ci --omit=dev --ignore-scripts --workspace=@ticketing/web

FROM node AS web
COPY --from=web-packages /app ./
COPY --from=web-build /app/web/build web/build
ENV NODE_OPTIONS="--max-old-space-size=256 --max-semi-space-size=16"
USER 1000:1000
EXPOSE 3000
CMD ["node", "web/build"]

# The edge transcodes REST to RPC by the compiled contracts.
FROM all-packages AS contracts
COPY buf.yaml ./
COPY third_party third_party
COPY proto proto
RUN npx buf build --as-file-descriptor-set --output ticketing.binpb

# The minimum is 1.39: in older versions one connection can exhaust the memory (CVE-2026-47774).
FROM envoyproxy/envoy:v1.40.0 AS envoy

# Node fills in the template, and then replaces itself with Envoy.
FROM node AS edge
COPY --from=envoy /usr/local/bin/envoy /usr/local/bin/envoy
COPY --from=services-packages /app ./
COPY proto/gen proto/gen
COPY services/marketplace/catalogue.ts services/marketplace/catalogue.ts
COPY services/runtime/config.ts services/runtime/config.ts
COPY envoy envoy
COPY --from=contracts /app/ticketing.binpb envoy/ticketing.binpb
USER 101:101
EXPOSE 8080
CMD ["node", "envoy/main.ts"]
