with

customer_months as (

    select * from {{ ref('customers_data_mart') }}

),

compared as (

    select
        *,
        lag(sales_date_month) over (partition by customer_id order by sales_date_month)
            as last_month_with_sales,
        lag(total_sales) over (partition by customer_id order by sales_date_month)
            as total_of_last_month_with_sales

    from customer_months

),

-- month over month compares calendar months: a month without a purchase counts as
-- nothing bought
with_previous_month as (

    select
        *,
        if(
            last_month_with_sales = {{ month_before('sales_date_month') }},
            total_of_last_month_with_sales,
            0
        ) as previous_month_sales

    from compared

),

rpt_sales_by_customer as (

    select
        customer_id,
        full_name,
        is_known_customer,
        min(first_sales_date) as first_sales_date,
        max(last_sales_date) as last_sales_date,
        sum(days_with_sales) as visits,
        sum(sales_count) as sales_count,
        cast(sum(total_sales) as decimal(28, 2)) as total_sales,
        max(sales_date_month) as last_sales_month,
        max_by(total_sales, sales_date_month) as last_month_sales,
        cast(
            max_by(total_sales - previous_month_sales, sales_date_month)
            as decimal(28, 2)
        ) as change_to_previous_month

    from with_previous_month

    group by
        customer_id,
        full_name,
        is_known_customer

)

select * from rpt_sales_by_customer
