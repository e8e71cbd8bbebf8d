// One object that is read again by its global id, and changed.
import { graphql } from "relay-runtime";

export const account = graphql`
  fragment AccountCard_account on Account @refetchable(queryName: "AccountCardAgainQuery") {
    id
    name
    nickname
    balance {
      amount
      currency
    }
  }
`;

export const query = graphql`
  query AccountCardQuery {
    accounts {
      id
      ...AccountCard_account
    }
  }
`;

export const rename = graphql`
  mutation AccountCardRenameMutation($input: UpdateAccountInput!) {
    updateAccount(input: $input) {
      account {
        ...AccountCard_account
      }
      errors {
        code
        message
        field
      }
    }
  }
`;
