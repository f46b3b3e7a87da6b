// How a case uses the example: as a person does, by what is written there.

import { login, patience, visit } from "./world.mjs";
import { password } from "./pawl.mjs";

/** A person at the example, on the page to sign in. */
export async function visitExample(t, world, options = {}) {
  const { email, context } = await visit(t, world, options);
  return { email, context, page: await openExample(world, context) };
}

/** Opens the example; `complaints` gathers what the browser says in its console. */
export async function openExample(world, context) {
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  await page.goto(world.example.url);
  return page;
}

export async function signIn(page, email, secret = password) {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(secret);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

export const heading = (page, name) => page.getByRole("heading", { name, exact: true }).waitFor({ timeout: patience });

/** The same person somewhere else: another browser, in the app. */
export async function elsewhere(t, world, email) {
  const other = await visit(t, world);
  const tab = await other.tab();
  await login(tab, email);
  return { ...other, page: tab };
}
