/** The part of a configuration, or of the template, that says what happens to a request. */
export const managerOf = (config: any): any =>
  config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
