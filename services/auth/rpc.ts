import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import { UserService } from "@ticketing/proto/auth/v1/user_service";
import { addressOf } from "#runtime/identity/client-network.ts";
import { caller, callerIfAny } from "#runtime/rpc/authentication.ts";
import { deleteAccount } from "./accounts/account-deletion.ts";
import { exportAccount } from "./accounts/account-export.ts";
import { changeEmail, undoEmailChange } from "./accounts/email-change.ts";
import { confirmEmail, sendConfirmation } from "./accounts/email-confirmation.ts";
import { changePassword, requestPasswordReset, resetPassword } from "./accounts/password-change.ts";
import type { AccountDeps } from "./accounts/verified-account.ts";
import {
  banUser,
  listUsers,
  unbanUser,
  type AdministrationDeps,
} from "./bans/user-administration.ts";
import type { Call, SignedInCall } from "./call.ts";
import {
  endSession,
  getCurrentUser,
  listSessions,
  signOut,
  signOutEverywhere,
} from "./sessions/own-sessions.ts";
import type { SignInDeps } from "./sign-in/session-delivery.ts";
import { refreshSession } from "./sign-in/session-refresh.ts";
import { signIn } from "./sign-in/sign-in.ts";
import { signUp } from "./sign-in/sign-up.ts";

/** Headers and signals cost more than the rest of a small call, so each is made when it is read. */
const callOf = (ctx: HandlerContext): Call => ({
  caller: callerIfAny(ctx),
  get clientAddress() {
    return addressOf(ctx.requestHeader);
  },
  get requestHeader() {
    return ctx.requestHeader;
  },
  get responseHeader() {
    return ctx.responseHeader;
  },
  get signal() {
    return ctx.signal;
  },
});

function signedIn(ctx: HandlerContext): SignedInCall {
  caller(ctx); // Fails without one.
  return callOf(ctx) as SignedInCall;
}

/** The methods of auth: signing in, the own account, and the administration of users. */
export function authRoutes(deps: SignInDeps & AccountDeps & AdministrationDeps) {
  return (router: ConnectRouter): void => {
    router.service(AuthService, {
      signUp: (request, ctx) => signUp(deps, request, callOf(ctx)),
      signIn: (request, ctx) => signIn(deps, request, callOf(ctx)),
      signOut: (request, ctx) => signOut(deps, request, callOf(ctx)),
      signOutEverywhere: (_request, ctx) => signOutEverywhere(deps, signedIn(ctx)),
      listSessions: (_request, ctx) => listSessions(deps, signedIn(ctx)),
      endSession: (request, ctx) => endSession(deps, request, signedIn(ctx)),
      getCurrentUser: (_request, ctx) => getCurrentUser(deps, callOf(ctx)),
      refreshSession: (request, ctx) => refreshSession(deps, request, callOf(ctx)),
    });
    router.service(AccountService, {
      changePassword: (request, ctx) => changePassword(deps, request, signedIn(ctx)),
      requestPasswordReset: (request, ctx) => requestPasswordReset(deps, request, callOf(ctx)),
      resetPassword: (request, ctx) => resetPassword(deps, request, callOf(ctx)),
      changeEmail: (request, ctx) => changeEmail(deps, request, signedIn(ctx)),
      sendConfirmation: (_request, ctx) => sendConfirmation(deps, signedIn(ctx)),
      confirmEmail: (request, ctx) => confirmEmail(deps, request, callOf(ctx)),
      undoEmailChange: (request, ctx) => undoEmailChange(deps, request, callOf(ctx)),
      exportAccount: (request, ctx) => exportAccount(deps, request, signedIn(ctx)),
      deleteAccount: (request, ctx) => deleteAccount(deps, request, signedIn(ctx)),
    });
    router.service(UserService, {
      listUsers: (request, ctx) => listUsers(deps, request, signedIn(ctx)),
      banUser: (request, ctx) => banUser(deps, request, signedIn(ctx)),
      unbanUser: (request, ctx) => unbanUser(deps, request, signedIn(ctx)),
    });
  };
}
