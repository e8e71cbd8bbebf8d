// A list that is paged as Relay pages: a connection of a refetchable fragment.
import { graphql } from "relay-runtime";

export const list = graphql`
  fragment Activity_list on Query
  @argumentDefinitions(first: { type: "Int", defaultValue: 5 }, after: { type: "String" })
  @refetchable(queryName: "ActivityPageQuery") {
    transactions(first: $first, after: $after) @connection(key: "Activity_transactions") {
      edges {
        node {
          id
          description
          amount {
            amount
            currency
          }
        }
      }
    }
  }
`;

export const query = graphql`
  query ActivityQuery($first: Int!) {
    ...Activity_list @arguments(first: $first)
  }
`;
