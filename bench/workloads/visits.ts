import { AuthService, TokenDelivery } from "@ticketing/proto/auth/v1/auth_service";
import type { Marketplace } from "../setup/marketplace.ts";
import type { People } from "../setup/people.ts";
import { repeated, type Workload } from "../workload.ts";
import { addressOf, connectCall, getRequest } from "./requests.ts";

/** The storefront's first page, as a browser without a session requests it. */
export const firstPage = ({ url }: Marketplace): Workload[] => [
  repeated({
    name: "storefront",
    family: "storefront",
    title: "storefront, first page",
    side: "ours",
    connections: 8,
    perSecond: 30,
    targets: [getRequest(`${url}/`)],
  }),
];

/** Sign-ins of twenty users. Most of their cost is the hash of the password, and is meant to be. */
export async function signIn({ url }: Marketplace, people: People): Promise<Workload[]> {
  const users = await people.buyers(20);
  const request = { tokenDelivery: TokenDelivery.BODY };
  return [
    repeated({
      name: "sign-in",
      family: "sign-in",
      title: "sign-in",
      side: "ours",
      connections: 8,
      perSecond: 10,
      targets: users.map(({ email, password }, i) =>
        connectCall(
          url,
          AuthService.method.signIn,
          { ...request, email, password },
          { address: addressOf(i) },
        ),
      ),
    }),
  ];
}
