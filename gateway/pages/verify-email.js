// Confirms an address by the token of the link, once somebody presses the button.

import { page } from "./mailed.js";

page({
  query: `mutation VerifyEmail($token: String!) {
  verifyEmail(token: $token) { verified errors { code message } }
}`,
  field: "verifyEmail",
  variables: (token) => ({ token }),
  done: "Your address is confirmed. You can sign in now.",
  another: "To get another, register again.",
});
