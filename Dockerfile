# One file, three images: `services` (all five; the command names which), `web` and `edge`; and
# `dev`, which is `services` for a local cluster. For instance:
#   docker build --target services --tag ticketing/services .
# Images are pinned by version: Node's is that of package.json, and a test compares the two. Users
# are numbers, because a cluster cannot tell from a name that it is not root.

FROM node:24.21.0-slim AS node
ENV NODE_ENV=production
WORKDIR /app

# The packages come first, from the lock file alone, so that a change of code does not fetch them
# anew. The storefront is left out here, and with it all that only it needs.
FROM node AS manifests
COPY package.json package-lock.json .npmrc ./
COPY proto/package.json proto/

# The lock file carries a Node for developers' machines as an optional package; the image has one.
FROM manifests AS services-packages
RUN npm ci --omit=dev --ignore-scripts \
  && rm -rf node_modules/node-linux-* node_modules/.bin/node

# Node runs the TypeScript itself, but none that lies under node_modules: @ticketing/proto must stay
# the link to /app/proto that npm made.
FROM node AS services
COPY --from=services-packages /app ./
COPY proto/gen proto/gen
COPY proto/currencies.ts proto/
COPY services services
USER 1000:1000
CMD ["node", "--eval", "throw new Error('say which service: node services/orders/main.ts')"]

# The packages of development too: for the compiled contracts, and for what only a local cluster runs.
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

# The bundle leaves outside what web/package.json calls its dependencies.
FROM web-manifests AS web-packages
RUN npm ci --omit=dev --ignore-scripts --workspace=@ticketing/web

FROM node AS web
COPY --from=web-packages /app ./
COPY --from=web-build /app/web/build web/build
USER 1000:1000
EXPOSE 3000
CMD ["node", "web/build"]

# The edge turns REST into RPC by the contracts themselves, in their compiled form.
FROM all-packages AS contracts
COPY buf.yaml ./
COPY third_party third_party
COPY proto proto
RUN npx buf build --as-file-descriptor-set --output ticketing.binpb

# The floor is 1.39: in older ones a single connection can fill the memory (CVE-2026-47774).
FROM envoyproxy/envoy:v1.40.0 AS envoy

# Node fills in the template, and is Envoy from then on: nothing of it stays.
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
