// Confirms an address by the token of the link, once somebody presses the button.

import { page } from "./mailed.js";

page({
  documentId: "sha256:da7becb681a631b8b771c8997baac34214175e43719f210e15211b286b82993f",
  field: "verifyEmail",
  variables: (token) => ({ token }),
  done: "Your address is confirmed. You can sign in now.",
  another: "To get another, register again.",
});
