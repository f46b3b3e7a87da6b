export type { ClientOptions, PawlClient } from "./api.js";
export { createClient } from "./client.js";
export type { Clock } from "./clock.js";
export type {
  ChangePasswordInput,
  ChangePasswordPayload,
  ChangePasswordResult,
  Delivery,
  InvalidCredentialsError,
  Listener,
  LoginInput,
  LoginPayload,
  LoginResult,
  LogoutPayload,
  PasswordProblem,
  Session,
  SignedOutReason,
  State,
  TooManyAttemptsError,
  User,
  WeakPasswordError,
} from "./contract.js";
export { PawlError, type PawlErrorCode } from "./error.js";
export type { Locks } from "./lock.js";
export { memoryStorage, type Storage } from "./storage.js";
export type { Channel } from "./tabs.js";
