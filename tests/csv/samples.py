"""CSV files as banks give them, written anew."""

DEPOSIT = (
    "Details,Posting Date,Description,Amount,Type,Balance,Check or Slip #\r\n"
    'DEBIT,01/12/2026,"COFFEE HOUSE",-4.50,DEBIT_CARD, ,,\r\n'
    'DEBIT,01/10/2026,"GREENGROCER 17, MILL RD",-25.40,DEBIT_CARD,1270.10,,\r\n'
    'CREDIT,01/09/2026,"PAYROLL ACME",1500.00,ACH_CREDIT,1295.50,,\r\n'
    'DEBIT,01/08/2026,"VENDING",-2.00,DEBIT_CARD,-204.50,,\r\n'
    'DEBIT,01/08/2026,"VENDING",-2.00,DEBIT_CARD,-202.50,,\r\n'
    'CHECK,01/05/2026,"CHECK 1204",-200.00,CHECK_PAID,-200.50,1204,\r\n'
)
CARD = (
    "Transaction Date,Post Date,Description,Category,Type,Amount,Memo\n"
    "01/10/2026,01/11/2026,FUEL 8,Gas,Sale,-40.00,\n"
    "01/09/2026,01/09/2026,AUTOPAY THANK YOU,,Payment,300.00,\n"
    "01/07/2026,01/08/2026,GREENGROCER 17,Groceries,Return,25.40,\n"
    "01/03/2026,01/04/2026,LATE FEE,Fees & Adjustments,Fee,-35.00,\n"
)
CARDS = (
    "Card,Transaction Date,Post Date,Description,Category,Type,Amount,Memo\n"
    "1111,01/10/2026,01/11/2026,FUEL 8,Gas,Sale,-40.00,\n"
    "2222,01/10/2026,01/11/2026,FUEL 8,Gas,Sale,-40.00,\n"
)
BROKERAGE = (
    '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
    '"01/20/2026","Sell","XYZ","XYZ CORP","10","$110.00","$1.00","$1,099.00"\n'
    '"01/16/2026","Buy","XYZ","XYZ CORP","10","$100.00","$1.00","-$1,001.00"\n'
    '"01/15/2026 as of 01/14/2026","Qualified Dividend","XYZ","XYZ CORP","","","","$12.50"\n'
    '"01/13/2026","Sell to Open","XYZ 06/19/2026 105.00 C","CALL XYZ","2","$1.50","$1.30","$298.70"\n'
    '"01/12/2026","MoneyLink Transfer","","Tfr MILL BANK","","","","$500.00"\n'
    '"01/12/2026","Service Fee","","WIRE FEE","","","","-$25.00"\n'
    '"01/09/2026","Bank Interest","","BANK INT 121525","","","","$0.09"\n'
    '"01/08/2026","Journaled Shares","ABC","JOURNAL FRM ...896","3","","",""\n'
    '"Transactions Total","","","","","","","$884.29"\n'
)
POSITIONS = (
    '"Positions for account Roth Contributory IRA ...178 as of 12:33 PM ET, 2026/01/21","","",""\n'
    '""\n'
    '"Symbol","Description","Qty (Quantity)","Price","Price Chng $ (Price Change $)",'
    '"Mkt Val (Market Value)","Cost Basis","Gain $ (Gain/Loss $)","Ratings","Security Type"\n'
    '"XYZ","XYZ CORP","1,200","$110.00","-$0.50","$132,000.00","$120,000.00","$12,000.00","B",'
    '"Equity"\n'
    '"XYZ 06/19/2026 105.00 C","CALL XYZ","-2","$1.50","$0.10","($300.00)","$298.70","--","--",'
    '"Option"\n'
    '"91282CJL6","US TREASURY NOTE","10,000","99.5","0.1","$9,950.00","N/A","--","--",'
    '"Fixed Income"\n'
    '"Cash & Cash Investments","--","--","--","--","$350.00","--","--","--",'
    '"Cash and Money Market"\n'
    '"Account Total","","--","--","--","$142,000.00","$120,298.70","--","--","--"\n'
    '"The data and information provided is from sources believed to be reliable."\n'
)
BANK = (
    '"Date","Status","Type","CheckNumber","Description","Withdrawal","Deposit","RunningBalance"\n'
    '"01/31/2026","Posted","INTADJUST","","Interest Paid","","$1.00","$2.00"\n'
    '"01/30/2026","Pending","VISA","","SHOP","$5.00","",""\n'
    '"01/03/2026","Posted","ACH","","Electronic Withdrawal","$2.00","","$1.00"\n'
)
