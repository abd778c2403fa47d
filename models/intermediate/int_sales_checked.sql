{#- The rules that a row must pass, in the order in which its reasons are listed.
    contract_rules() are those of models/staging/_pos__sources.yml: empty, invalid and
    out of range. `when` is the fault, `words` an SQL text; a `reject` sets the row
    aside, a `warn` only marks it. -#}
{%- set days_allowed = rule_variable('future_days_allowed') -%}
{%- set last_day = 'date_add(files.delivered_on, ' ~ days_allowed ~ ')' -%}
{%- set of_openings
    = 'reject' if rule_variable('reject_sales_before_opening') else 'warn' -%}
{%- set own_rules = [
    {
        'code': 'future_sales_date',
        'severity': 'reject',
        'when': 'sales.sales_date > ' ~ last_day,
        'words': "concat('sales_date: expected a date up to ', " ~ last_day
            ~ ", ', found ', sales.sales_date)",
    },
    {
        'code': 'before_store_opening',
        'severity': of_openings,
        'when': 'sales.sales_date < stores.opening_date',
        'words': "concat('sales_date: expected a date from the store''s opening on ', "
            ~ "stores.opening_date, ', found ', sales.sales_date)",
    },
    {
        'code': 'total_cost_mismatch',
        'severity': 'warn',
        'when': 'abs(sales.price * sales.quantity - sales.total_cost) > '
            ~ rule_variable('total_cost_tolerance'),
        'words': "concat('total_cost: expected price * quantity = ', "
            ~ "sales.price * sales.quantity, ', found ', sales.total_cost)",
    },
] -%}
{%- set rules = contract_rules() + own_rules -%}

with

sales as (

    select * from {{ ref('stg_pos__sales') }}

),

files as (

    select * from {{ ref('stg_pos__files') }}

),

stores as (

    select * from {{ ref('stg_retail__stores') }}

    -- as the dimension does: its key is that of what is unknown
    where store_id <> -1

),

-- files that count, and files that were read and set aside whole
files_to_check as (

    select
        file_id,
        delivered_on

    from files

    where is_counted or status = 'E'

),

int_sales_checked as (

    select
        sales.*,
        case
            when sales.row_fault is null then {{ row_reasons(rules, 'reject') }}
            -- the reader may quote the mark that stands between reasons
            else translate(
                if(
                    startswith(sales.row_fault_detail, concat(sales.row_fault, ': ')),
                    sales.row_fault_detail,
                    concat_ws(': ', sales.row_fault, sales.row_fault_detail)
                ),
                '|',
                '¦'
            )
        end as reject_reasons,
        {{ row_reasons(rules, 'warn') }} as warn_reasons,
        -- whether there is a reason; its words are made for few rows
        sales.row_fault is not null
        or {{ is_against(contract_rules(is_brief=true) + own_rules) }} as is_rejected

    from sales

    inner join files_to_check as files on sales.file_id = files.file_id

    left join stores on sales.store_id = stores.store_id

)

select * from int_sales_checked
