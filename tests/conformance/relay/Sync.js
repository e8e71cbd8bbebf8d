// A sync, and how far it has come.
import { graphql } from "relay-runtime";

export const start = graphql`
  mutation SyncStartMutation($input: SyncInput!) {
    sync(input: $input) {
      runs {
        id
        status
      }
      errors {
        code
        message
      }
    }
  }
`;

export const progress = graphql`
  subscription SyncProgressSubscription($runId: ID!) {
    syncProgress(runId: $runId) {
      id
      status
      progress
    }
  }
`;
