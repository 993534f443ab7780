/** The HTTP connection manager of the edge's listener, in a rendered configuration or in the template. */
export const connectionManagerOf = (config: any): any =>
  config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
