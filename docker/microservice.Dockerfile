# The service of examples/microservice. The build context is the repository:
#   docker build -f docker/microservice.Dockerfile -t annal-microservice .
ARG NODE_IMAGE=node:20-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npx tsc -p tsconfig.build.json
COPY examples/microservice examples/microservice
# Only the service's own files: "annal" is this package, which it finds built in dist.
RUN npx tsc --ignoreConfig --rootDir examples/microservice --outDir service --target es2023 \
  --module nodenext --types node --skipLibCheck --rewriteRelativeImportExtensions \
  examples/microservice/serve.ts

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080
COPY --from=dependencies /app/node_modules node_modules
# What the service needs beside the store. A service of your own has them among its dependencies, as it has annal.
COPY --from=build /app/node_modules/hono node_modules/hono
COPY --from=build /app/node_modules/@hono node_modules/@hono
COPY --from=build /app/node_modules/@opentelemetry node_modules/@opentelemetry
COPY --from=build /app/package.json ./
COPY --from=build /app/dist dist
COPY --from=build /app/service service
USER node
EXPOSE 8080
# Alive, not ready: an instance that waits for NATS must not be restarted for that.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Without a shell in between, so that SIGTERM arrives.
CMD ["node", "service/serve.js"]
