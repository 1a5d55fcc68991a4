// A server with a token asks for it once; a cookie that pages cannot read keeps it.

import * as api from "./api.js";
import { el } from "./dom.js";

let asking = null;

/** Ask for the token; true once the server has accepted it, false if cancelled. */
export function askForToken(reason) {
  asking ??= ask(reason).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(reason) {
  return new Promise((resolve) => {
    const message = el("p", { class: "quiet", role: "alert" }, reason);
    const input = el("input", { type: "password", autocomplete: "current-password", required: true });
    const form = el(
      "form",
      {},
      el("h2", {}, "This server asks for its token"),
      message,
      el("label", {}, "Token", input),
      el(
        "div",
        { class: "actions" },
        el("button", { type: "submit" }, "sign in"),
        el("button", { type: "button", onclick: () => dialog.close() }, "cancel"),
      ),
    );
    const dialog = el("dialog", { "aria-label": "Sign in" }, form);
    let taken = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await api.signIn(input.value);
        taken = true;
        dialog.close();
      } catch (error) {
        message.textContent = error.message;
        input.select();
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(taken);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
