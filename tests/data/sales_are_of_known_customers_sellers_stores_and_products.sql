-- If this warns, sales count for a customer, seller, store or product that the database
-- does not know yet.
{{ config(severity='warn') }}

with

months as (

    select
        'customer' as dimension,
        cast(customer_id as string) as member,
        sales_count,
        total_sales
    from {{ ref('customers_data_mart') }}
    where not is_known_customer and {{ is_in_touched_month('sales_date_month') }}

    union all

    select
        'seller' as dimension,
        cast(sales_person_id as string) as member,
        sales_count,
        total_sales
    from {{ ref('sales_team_data_mart') }}
    where not is_known_sales_person and {{ is_in_touched_month('sales_month') }}

    union all

    select
        'store' as dimension,
        cast(store_id as string) as member,
        sales_count,
        total_sales
    from {{ ref('sales_team_data_mart') }}
    where not is_known_store and {{ is_in_touched_month('sales_month') }}

    union all

    select
        'product' as dimension,
        product_name as member,
        sales_count,
        total_sales
    from {{ ref('rpt_sales_by_product_and_month') }}
    where product_key = -1 and {{ is_in_touched_month('sales_month') }}

)

select
    dimension,
    member,
    sum(sales_count) as sales_count,
    sum(total_sales) as total_sales

from months

group by
    dimension,
    member
